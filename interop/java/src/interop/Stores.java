package interop;

import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Fills a broker with a bit of everything, and writes down all that it serves, so that two servers can be compared. */
final class Stores {
  private static final String[] TOPICS = {"Queues", "Batch", "Large", "Auto", "Props", "Empty"};
  private static final int[] QUEUES = {8, 4, 2, 0, 1, 3};

  static void register() {
    Main.SCENARIOS.put("store-fill", Stores::fill);
    Main.SCENARIOS.put("store-dump", Stores::dump);
  }

  /** The acknowledged messages of one round, by where the broker said that they are. */
  private static final class Receipts {
    final Map<String, String> lines = new ConcurrentHashMap<>();
    final Map<MessageQueue, Long> ends = new ConcurrentHashMap<>();

    void add(SendResult result, List<Message> messages) {
      Failed.unlessEqual("SEND_OK", result.getSendStatus().toString(), "send status");
      String[] ids = result.getMsgId().split(",");
      Failed.unlessEqual(messages.size(), ids.length, "message ids");
      for (int i = 0; i < ids.length; i++) {
        long offset = result.getQueueOffset() + i;
        String place = place(result.getMessageQueue(), offset);
        String what = ids[i] + " " + Messages.hex(Messages.sha(messages.get(i).getBody()));
        Failed.when(lines.put(place, what) != null, "two acknowledgements name " + place);
        ends.merge(result.getMessageQueue(), offset + 1, Math::max);
      }
    }
  }

  private static String place(MessageQueue queue, long offset) {
    return queue.getTopic() + " " + queue.getBrokerName() + " " + queue.getQueueId() + " " + offset;
  }

  /** prefix, round (from 0), file: sends a round of messages; the file says where each was acknowledged. */
  static void fill(Args args, Map<String, Object> facts) throws Exception {
    String prefix = args.text("prefix");
    int round = args.number("round", 0);
    DefaultMQProducer producer = Clients.producer(args);
    producer.setMaxMessageSize(4 << 20);
    if (round == 0)
      for (int i = 0; i < TOPICS.length; i++)
        if (QUEUES[i] > 0) Clients.createTopic(producer, prefix + TOPICS[i], QUEUES[i]);
    Receipts receipts = new Receipts();
    int base = round * 100_000;
    sendMany(producer, prefix + "Queues", base, 4000, receipts);
    sendBatches(producer, prefix + "Batch", base, receipts);
    sendLarge(producer, prefix + "Large", base, receipts);
    for (int n = base; n < base + 60; n++) sendOne(producer, Messages.numbered(prefix + "Auto", null, n), receipts);
    sendOdd(producer, prefix + "Props", base, receipts);
    awaitEnds(producer, receipts);
    consume(args, prefix, receipts);
    commit(args, prefix, round);
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args.text("file")))) {
      for (Map.Entry<String, String> entry : new TreeMap<>(receipts.lines).entrySet())
        out.write(entry.getKey() + " " + entry.getValue() + "\n");
    }
    facts.put("sent", receipts.lines.size());
  }

  private static void sendOne(DefaultMQProducer producer, Message message, Receipts receipts) throws Exception {
    receipts.add(producer.send(message), List.of(message));
  }

  private static void sendMany(DefaultMQProducer producer, String topic, int base, int count, Receipts receipts)
      throws Exception {
    producer.setRetryTimesWhenSendAsyncFailed(0);
    Semaphore inFlight = new Semaphore(64);
    List<Throwable> errors = java.util.Collections.synchronizedList(new ArrayList<>());
    List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
    for (int n = base; n < base + count && errors.isEmpty(); n++) {
      Message message = Messages.numbered(topic, "tag" + n % 5, n, Messages.randomBody(n, 1, 2500));
      message.setKeys(List.of("key" + n, "shared" + n % 10));
      Failed.when(!inFlight.tryAcquire(15, TimeUnit.SECONDS), "64 sends without an answer for 15 s");
      producer.send(message, queues.get(n % queues.size()), new SendCallback() {
        @Override
        public void onSuccess(SendResult result) {
          try {
            receipts.add(result, List.of(message));
          } catch (Throwable wrong) {
            errors.add(wrong);
          }
          inFlight.release();
        }

        @Override
        public void onException(Throwable error) {
          errors.add(error);
          inFlight.release();
        }
      });
    }
    Failed.when(!inFlight.tryAcquire(64, 15, TimeUnit.SECONDS), "sends without an answer for 15 s");
    Failed.when(!errors.isEmpty(), errors.isEmpty() ? "" : errors.size() + " sends: " + Main.describe(errors.get(0)));
  }

  private static void sendBatches(DefaultMQProducer producer, String topic, int base, Receipts receipts)
      throws Exception {
    int n = base;
    for (int size : new int[] {1, 2, 7, 32, 100, 3, 3, 3, 3}) {
      List<Message> messages = new ArrayList<>();
      for (int i = 0; i < size; i++, n++)
        messages.add(Messages.numbered(topic, "tag" + n % 2, n, Messages.randomBody(n, 1, 900)));
      receipts.add(producer.send(messages), messages);
    }
  }

  private static void sendLarge(DefaultMQProducer producer, String topic, int base, Receipts receipts)
      throws Exception {
    int n = base;
    for (int size : new int[] {4095, 4096, 20_000, 500_000, 2_000_000}) {
      StringBuilder text = new StringBuilder();
      while (text.length() < size) text.append("line ").append(text.length()).append(" of a body that repeats\n");
      text.setLength(size);
      sendOne(producer, Messages.numbered(topic, "text", n++, text.toString().getBytes(StandardCharsets.UTF_8)), receipts);
      sendOne(producer, Messages.numbered(topic, "noise", n, Messages.randomBody(n++, size / 2, size / 2)), receipts);
    }
  }

  private static void sendOdd(DefaultMQProducer producer, String topic, int base, Receipts receipts) throws Exception {
    for (int n = base; n < base + 20; n++) {
      Message message = Messages.numbered(topic, "\u6807\u7b7e", n, new byte[] {0, 1, 2, (byte) 255, (byte) n});
      message.setFlag(0x7abcdef1 + n);
      message.setWaitStoreMsgOK(n % 2 == 0);
      message.setBuyerId("buyer" + n);
      message.putUserProperty("unicode", "Gr\u00fc\u00dfe \u4f60\u597d \ud83d\ude80");
      message.putUserProperty("separators", "a=b;c,d:e|\"'{}");
      message.putUserProperty("long", "0123456789".repeat(n % 20 * 100 + 1));
      sendOne(producer, message, receipts);
    }
  }

  /** Java's consume queues follow the log in the background: what was acknowledged is served a moment later. */
  private static void awaitEnds(DefaultMQProducer producer, Receipts receipts) throws Exception {
    long deadline = System.currentTimeMillis() + 10_000;
    for (Map.Entry<MessageQueue, Long> end : receipts.ends.entrySet())
      while (producer.maxOffset(end.getKey()) < end.getValue()) {
        Failed.when(System.currentTimeMillis() > deadline, end.getKey() + " ends at " + producer.maxOffset(end.getKey())
            + ", acknowledged until " + end.getValue());
        Thread.sleep(20);
      }
  }

  /** A group that has consumed everything of two topics, and committed it when it left. */
  private static void consume(Args args, String prefix, Receipts receipts) throws Exception {
    String group = prefix + "Push";
    Inbox inbox = new Inbox();
    DefaultMQPushConsumer consumer = Clients.push(args, group);
    consumer.subscribe(prefix + "Queues", "*");
    consumer.subscribe(prefix + "Batch", "tag1 || tag0");
    consumer.registerMessageListener(inbox.listener());
    consumer.start();
    int wanted = 0;
    for (String place : receipts.lines.keySet())
      if (place.startsWith(prefix + "Queues ") || place.startsWith(prefix + "Batch ")) wanted++;
    for (long deadline = System.currentTimeMillis() + 60_000; inbox.arrived.get() < wanted; Thread.sleep(20))
      Failed.when(System.currentTimeMillis() > deadline, "group " + group + " got " + inbox.arrived.get() + " of " + wanted);
    Thread.sleep(200);
    consumer.shutdown();
    Failed.unlessEqual(wanted, inbox.arrived.get(), "messages for a group that goes on where it was");
    Failed.unlessEqual(0, inbox.corrupt.get(), "corrupt bodies");
    DefaultMQPullConsumer reader = Clients.pull(args, group);
    reader.start();
    for (Map.Entry<MessageQueue, Long> end : receipts.ends.entrySet())
      if (end.getKey().getTopic().matches(prefix + "(Queues|Batch)")) awaitCommitted(reader, end.getKey(), end.getValue());
    reader.shutdown();
  }

  private static void awaitCommitted(DefaultMQPullConsumer consumer, MessageQueue queue, long wanted) throws Exception {
    for (long deadline = System.currentTimeMillis() + 10_000; ; Thread.sleep(50)) {
      long committed = consumer.fetchConsumeOffset(queue, true);
      if (committed == wanted) return;
      Failed.when(System.currentTimeMillis() > deadline, queue + " committed " + committed + ", wanted " + wanted);
    }
  }

  /** A group that stands in the middle of its queues. */
  private static void commit(Args args, String prefix, int round) throws Exception {
    DefaultMQPullConsumer consumer = Clients.pull(args, prefix + "Pull");
    consumer.start();
    for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(prefix + "Queues")) {
      long offset = 100L * round + 11L * queue.getQueueId() + 1;
      // A pull makes the group known; before its first heartbeat an offset would be refused.
      Failed.unlessEqual(PullStatus.FOUND, consumer.pull(queue, "*", 0, 1).getPullStatus(), "first pull of " + queue);
      consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, offset, false);
      awaitCommitted(consumer, queue, offset);
    }
    consumer.shutdown();
  }

  /**
   * prefix, broker (its address), file: all that the broker serves of the prefix's topics and groups, one fact a
   * line. Lines that begin with `M` are messages: `M topic broker queue offset msgId sha-of-body ...`.
   */
  static void dump(Args args, Map<String, Object> facts) throws Exception {
    String prefix = args.text("prefix");
    DefaultMQProducer producer = Clients.producer(args);
    DefaultMQPullConsumer consumer = Clients.pull(args, args.fresh("Dump"));
    consumer.start();
    int messages = 0;
    int queues = 0;
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args.text("file")))) {
      var api = producer.getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl();
      var topics = api.getAllTopicConfig(args.text("broker"), 10_000).getTopicConfigTable();
      for (String topic : new TreeSet<>(topics.keySet()))
        if (topic.startsWith(prefix)) out.write("T " + topics.get(topic) + "\n");
      var groups = api.getAllSubscriptionGroup(args.text("broker"), 10_000).getSubscriptionGroupTable();
      for (String group : new TreeSet<>(groups.keySet()))
        if (group.startsWith(prefix)) out.write("G " + groups.get(group) + "\n");
      for (String name : TOPICS) {
        for (MessageQueue queue : new TreeSet<>(consumer.fetchSubscribeMessageQueues(prefix + name))) {
          queues++;
          messages += dumpQueue(out, prefix, producer, consumer, queue);
        }
      }
      for (String group : new String[] {prefix + "Push", prefix + "Pull"}) {
        DefaultMQPullConsumer reader = Clients.pull(args, group);
        reader.start();
        for (String name : TOPICS)
          for (MessageQueue queue : new TreeSet<>(reader.fetchSubscribeMessageQueues(prefix + name)))
            out.write("C " + group + " " + place(queue, reader.fetchConsumeOffset(queue, true)) + "\n");
        reader.shutdown();
      }
    }
    facts.put("queues", queues);
    facts.put("messages", messages);
  }

  private static int dumpQueue(BufferedWriter out, String prefix, DefaultMQProducer producer,
      DefaultMQPullConsumer consumer, MessageQueue queue) throws Exception {
    long min = producer.minOffset(queue);
    long max = producer.maxOffset(queue);
    out.write("Q " + place(queue, min) + " " + max + "\n");
    int count = 0;
    int tagged = 0;
    for (long offset = min; offset < max; ) {
      PullResult pulled = consumer.pull(queue, "*", offset, 32);
      Failed.unlessEqual(PullStatus.FOUND, pulled.getPullStatus(), "pull of " + place(queue, offset) + " (max " + max + ")");
      for (MessageExt message : pulled.getMsgFoundList()) {
        Failed.unlessEqual(offset, message.getQueueOffset(), "queue offset of what " + queue + " gives next");
        out.write("M " + describe(queue, message) + "\n");
        if ("tag1".equals(message.getTags())) tagged++;
        // In the middle of the queue and at its ends: time leads back to the offset.
        if (offset == min || offset == (min + max) / 2 || offset == max - 1)
          out.write("S " + place(queue, producer.searchOffset(queue, message.getStoreTimestamp())) + " for "
              + message.getStoreTimestamp() + "\n");
        if (offset == min || offset == (min + max) / 2 || offset == max - 1) {
          MessageExt same = producer.viewMessage(queue.getTopic(), message.getMsgId());
          Failed.unlessEqual(place(queue, offset), place(queue, same.getQueueOffset()), "by unique id");
          Failed.unlessEqual(queue.getQueueId(), same.getQueueId(), "queue by unique id");
          if (message.getKeys() != null)
            for (String key : message.getKeys().split(" "))
              out.write("K " + found(producer, queue.getTopic(), key, place(queue, offset)) + "\n");
        }
        offset++;
        count++;
      }
      Failed.unlessEqual(offset, pulled.getNextBeginOffset(), "next offset of a pull of " + queue);
    }
    out.write("S " + place(queue, producer.searchOffset(queue, 1)) + " for long ago\n");
    if (count > 0) out.write("E " + place(queue, consumer.earliestMsgStoreTime(queue)) + "\n");
    // The tags' hash codes in the consume queue lead to the same messages as the tags themselves.
    int found = 0;
    for (long offset = min; offset < max; ) {
      PullResult pulled = consumer.pull(queue, "tag1", offset, 32);
      if (pulled.getPullStatus() == PullStatus.FOUND) found += pulled.getMsgFoundList().size();
      Failed.when(pulled.getNextBeginOffset() <= offset, "a pull by tag does not go on from " + place(queue, offset));
      offset = pulled.getNextBeginOffset();
    }
    Failed.unlessEqual(tagged, found, "messages of " + queue + " with tag1");
    return count;
  }

  /** Where the messages are that a query by key finds: that at `place` is among them, or newer ones are. */
  private static String found(DefaultMQProducer producer, String topic, String key, String place) throws Exception {
    List<String> places = new ArrayList<>();
    for (long deadline = System.currentTimeMillis() + 3_000; ; Thread.sleep(50)) {
      try {
        places.clear();
        for (MessageExt message : producer.queryMessage(topic, key, 32, 0, Long.MAX_VALUE).getMessageList())
          places.add(message.getQueueId() + ":" + message.getQueueOffset());
        break;
      } catch (MQClientException notYet) {
        Failed.when(System.currentTimeMillis() > deadline, "the key " + key + " of " + place + " is not found: " + notYet);
      }
    }
    java.util.Collections.sort(places);
    return topic + " " + key + " of " + place + " at " + places;
  }

  private static String describe(MessageQueue queue, MessageExt message) {
    Map<String, String> properties = new TreeMap<>(message.getProperties());
    // The client adds these to what it pulled.
    properties.remove("MIN_OFFSET");
    properties.remove("MAX_OFFSET");
    String all = properties.toString().replace("\n", "\\n");
    return place(queue, message.getQueueOffset()) + " " + message.getMsgId() + " "
        + Messages.hex(Messages.sha(message.getBody())) + " offsetMsgId=" + ((MessageClientExt) message).getOffsetMsgId()
        + " position=" + message.getCommitLogOffset() + " size=" + message.getStoreSize() + " crc=" + message.getBodyCRC()
        + " flag=" + message.getFlag() + " sysFlag=" + message.getSysFlag() + " born=" + message.getBornTimestamp() + "@"
        + message.getBornHost() + " stored=" + message.getStoreTimestamp() + "@" + message.getStoreHost() + " reconsumed="
        + message.getReconsumeTimes() + " prepared=" + message.getPreparedTransactionOffset() + " " + all;
  }
}
