package interop;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that carry their own proof: property `n` numbers them, property `sha` is the SHA-256 of the body. */
final class Messages {
  static final String NUMBER = "n";
  static final String SHA = "sha";
  /**
   * Longer than the 30 s between two heartbeats of the Java client. When its first rebalance and its first heartbeat
   * meet, the rebalance skips the heartbeat that should tell the broker the new subscription version, and each pull is
   * answered SUBSCRIPTION_NOT_LATEST until the next one, by Java's broker too.
   */
  static final long PATIENCE_MS = 70_000;

  static byte[] sha(byte[] body) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(body);
    } catch (java.security.NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  static String hex(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (byte b : bytes) text.append(String.format("%02x", b));
    return text.toString();
  }

  static Message numbered(String topic, String tag, int n, byte[] body) {
    Message message = new Message(topic, tag, "key" + n, body);
    message.putUserProperty(NUMBER, Integer.toString(n));
    message.putUserProperty(SHA, hex(sha(body)));
    return message;
  }

  static Message numbered(String topic, String tag, int n) {
    return numbered(topic, tag, n, ("message " + n + " of " + topic + " \u4f60\u597d").getBytes(StandardCharsets.UTF_8));
  }

  /** Incompressible and of changing size, the same for the same number everywhere. */
  static byte[] randomBody(int n, int minimum, int maximum) {
    Random random = new Random(n * 7919L + 17);
    byte[] body = new byte[minimum + random.nextInt(maximum - minimum + 1)];
    random.nextBytes(body);
    return body;
  }
}

/** What arrived: how often each number, whether each body is what was sent, and a sum over all bodies. */
final class Inbox {
  final Map<Integer, AtomicInteger> seen = new ConcurrentHashMap<>();
  final AtomicInteger arrived = new AtomicInteger();
  final AtomicInteger corrupt = new AtomicInteger();
  final AtomicLong sum = new AtomicLong();
  /** Empty where `keepsMessages` is false. */
  final Map<Integer, MessageExt> first = new ConcurrentHashMap<>();
  volatile String firstCorrupt = "";
  private final boolean keepsMessages;

  Inbox() {
    this(true);
  }

  /** Of a load there is no telling how many messages it sends, and the heap is small. */
  Inbox(boolean keepsMessages) {
    this.keepsMessages = keepsMessages;
  }

  void add(MessageExt message) {
    byte[] sha = Messages.sha(message.getBody());
    String number = message.getUserProperty(Messages.NUMBER);
    if (number == null || !Messages.hex(sha).equals(message.getUserProperty(Messages.SHA))) {
      corrupt.incrementAndGet();
      firstCorrupt = "number " + number + ", body of " + message.getBody().length + " bytes, " + message;
    }
    int n = number == null ? -1 : Integer.parseInt(number);
    long part = ByteBuffer.wrap(sha).getLong();
    if (seen.computeIfAbsent(n, (key) -> new AtomicInteger()).incrementAndGet() == 1) {
      if (keepsMessages) first.put(n, message);
      for (long before = sum.get(); !sum.compareAndSet(before, before ^ part); before = sum.get()) { }
    }
    arrived.incrementAndGet();
  }

  int distinct() {
    return seen.size();
  }

  int duplicates() {
    return arrived.get() - seen.size();
  }

  String sumText() {
    return String.format("%016x", sum.get());
  }

  /** Waits until `wanted` numbers came, then a little longer for what should not come. */
  void await(int wanted, long timeoutMs) throws InterruptedException {
    long deadline = System.currentTimeMillis() + timeoutMs;
    while (distinct() < wanted) {
      if (System.currentTimeMillis() > deadline)
        throw new Failed("after " + timeoutMs + " ms " + distinct() + " of " + wanted + " messages arrived ("
            + duplicates() + " more than once); missing begin with " + missing(wanted));
      Thread.sleep(10);
    }
    Thread.sleep(150);
  }

  private String missing(int wanted) {
    StringBuilder text = new StringBuilder();
    for (int n = 0, found = 0; n < wanted && found < 8; n++) {
      if (seen.containsKey(n)) continue;
      text.append(n).append(' ');
      found++;
    }
    return text.toString();
  }

  /** Exactly the numbers 0 until `wanted`, each once, each whole. */
  void mustHoldEachOnce(int wanted) {
    Failed.when(corrupt.get() > 0, corrupt.get() + " bodies differ from what was sent; the last: " + firstCorrupt);
    Failed.unlessEqual(wanted, distinct(), "distinct messages");
    Failed.unlessEqual(0, duplicates(), "messages that came more than once");
  }

  MessageListenerConcurrently listener() {
    return (List<MessageExt> messages, org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext context) -> {
      for (MessageExt message : messages) add(message);
      return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    };
  }

  /** A push consumer over the whole topic that fills this inbox. */
  DefaultMQPushConsumer open(Args args, String group, String topic, String tags) throws Exception {
    DefaultMQPushConsumer consumer = Clients.push(args, group);
    consumer.subscribe(topic, tags);
    consumer.registerMessageListener(listener());
    consumer.start();
    return consumer;
  }

  static Inbox collect(Args args, String topic, int wanted) throws Exception {
    Inbox inbox = new Inbox();
    DefaultMQPushConsumer consumer = inbox.open(args, args.fresh("CG"), topic, "*");
    inbox.await(wanted, Messages.PATIENCE_MS);
    consumer.shutdown();
    inbox.mustHoldEachOnce(wanted);
    return inbox;
  }
}
