package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The ways to send; each ends with a consumer that checks what was stored against what the broker answered. */
final class Sends {
  static void register() {
    Main.SCENARIOS.put("send-sync", Sends::sync);
    Main.SCENARIOS.put("send-async", Sends::async);
    Main.SCENARIOS.put("send-oneway", Sends::oneWay);
    Main.SCENARIOS.put("send-batch", Sends::batch);
    Main.SCENARIOS.put("send-queue", Sends::toQueue);
    Main.SCENARIOS.put("send-compressed", Sends::compressed);
    Main.SCENARIOS.put("send-properties", Sends::properties);
    Main.SCENARIOS.put("routes", Sends::routes);
  }

  static void mustBeOk(SendResult result) {
    Failed.when(result == null, "no send result");
    Failed.unlessEqual(SendStatus.SEND_OK, result.getSendStatus(), "send status");
    // 16 bytes, or 28 where the client finds itself an IPv6 address only.
    Failed.when(result.getMsgId() == null || !result.getMsgId().matches("[0-9A-F]{32}|[0-9A-F]{56}"),
        "msgId " + result.getMsgId());
    Failed.when(result.getOffsetMsgId() == null || result.getOffsetMsgId().length() < 32,
        "offsetMsgId " + result.getOffsetMsgId());
  }

  /** What the broker answered must be where the message is found. */
  static void mustMatch(SendResult sent, MessageExt stored) {
    Failed.unlessEqual(sent.getMsgId(), stored.getMsgId(), "msgId");
    Failed.unlessEqual(sent.getQueueOffset(), stored.getQueueOffset(), "queue offset");
    Failed.unlessEqual(sent.getMessageQueue().getQueueId(), stored.getQueueId(), "queue");
    Failed.unlessEqual(sent.getOffsetMsgId(),
        ((org.apache.rocketmq.common.message.MessageClientExt) stored).getOffsetMsgId(), "offsetMsgId");
  }

  static void sync(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Sync");
    DefaultMQProducer producer = Clients.producer(args);
    Map<Integer, SendResult> sent = new HashMap<>();
    long before = System.currentTimeMillis();
    for (int n = 0; n < 40; n++) {
      SendResult result = producer.send(Messages.numbered(topic, "tag" + n % 3, n));
      mustBeOk(result);
      sent.put(n, result);
    }
    Inbox inbox = Inbox.collect(args, topic, 40);
    for (int n = 0; n < 40; n++) {
      MessageExt stored = inbox.first.get(n);
      mustMatch(sent.get(n), stored);
      Failed.unlessEqual("key" + n, stored.getKeys(), "keys");
      Failed.unlessEqual("tag" + n % 3, stored.getTags(), "tag");
      Failed.unlessEqual(topic, stored.getTopic(), "topic");
      Failed.when(Math.abs(stored.getStoreTimestamp() - before) > 60_000, "store time " + stored.getStoreTimestamp());
      Failed.when(Math.abs(stored.getBornTimestamp() - before) > 60_000, "born time " + stored.getBornTimestamp());
      Failed.unlessEqual("127.0.0.1", stored.getBornHostString(), "born host");
      Failed.when(stored.getCommitLogOffset() < 0, "position " + stored.getCommitLogOffset());
      Failed.unlessEqual(0, stored.getReconsumeTimes(), "reconsume times");
    }
    facts.put("sent", 40);
  }

  static void async(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Async");
    DefaultMQProducer producer = Clients.producer(args);
    producer.setRetryTimesWhenSendAsyncFailed(0);
    mustBeOk(producer.send(Messages.numbered(topic, "t", 0)));
    int count = 500;
    CountDownLatch left = new CountDownLatch(count - 1);
    Map<Integer, SendResult> sent = new ConcurrentHashMap<>();
    List<Throwable> errors = java.util.Collections.synchronizedList(new ArrayList<>());
    for (int n = 1; n < count; n++) {
      int number = n;
      producer.send(Messages.numbered(topic, "t", n), new SendCallback() {
        @Override
        public void onSuccess(SendResult result) {
          sent.put(number, result);
          left.countDown();
        }

        @Override
        public void onException(Throwable error) {
          errors.add(error);
          left.countDown();
        }
      });
    }
    Failed.when(!left.await(30, TimeUnit.SECONDS), left.getCount() + " sends without an answer");
    Failed.when(!errors.isEmpty(), errors.size() + " failed: " + (errors.isEmpty() ? "" : Main.describe(errors.get(0))));
    Inbox inbox = Inbox.collect(args, topic, count);
    for (int n = 1; n < count; n++) {
      mustBeOk(sent.get(n));
      mustMatch(sent.get(n), inbox.first.get(n));
    }
    facts.put("sent", count);
  }

  static void oneWay(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("OneWay");
    DefaultMQProducer producer = Clients.producer(args);
    for (int n = 0; n < 200; n++) producer.sendOneway(Messages.numbered(topic, "t", n));
    Inbox.collect(args, topic, 200);
    facts.put("sent", 200);
  }

  static void batch(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Batch");
    DefaultMQProducer producer = Clients.producer(args);
    int n = 0;
    List<SendResult> results = new ArrayList<>();
    for (int size : new int[] {1, 2, 32, 100}) {
      List<Message> messages = new ArrayList<>();
      for (int i = 0; i < size; i++, n++) messages.add(Messages.numbered(topic, "tag" + n % 2, n));
      SendResult result = producer.send(messages);
      Failed.unlessEqual(SendStatus.SEND_OK, result.getSendStatus(), "send status");
      Failed.unlessEqual(size, result.getMsgId().split(",").length, "message ids of a batch of " + size);
      Failed.unlessEqual(size, result.getOffsetMsgId().split(",").length, "offset message ids of a batch of " + size);
      results.add(result);
    }
    Inbox inbox = Inbox.collect(args, topic, n);
    int at = 0;
    for (SendResult result : results) {
      String[] ids = result.getMsgId().split(",");
      String[] offsetIds = result.getOffsetMsgId().split(",");
      for (int i = 0; i < ids.length; i++, at++) {
        MessageExt stored = inbox.first.get(at);
        Failed.unlessEqual(ids[i], stored.getMsgId(), "msgId in a batch");
        Failed.unlessEqual(offsetIds[i],
            ((org.apache.rocketmq.common.message.MessageClientExt) stored).getOffsetMsgId(), "offsetMsgId in a batch");
        Failed.unlessEqual(result.getQueueOffset() + i, stored.getQueueOffset(), "queue offset in a batch");
        Failed.unlessEqual("tag" + at % 2, stored.getTags(), "tag in a batch");
        Failed.unlessEqual("key" + at, stored.getKeys(), "keys in a batch");
      }
    }
    facts.put("sent", n);
  }

  static void toQueue(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Queue");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 3);
    List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
    Map<Integer, Long> next = new HashMap<>();
    for (int n = 0; n < 60; n++) {
      MessageQueue queue = queues.get(n % 3);
      SendResult result = n % 2 == 0
          ? producer.send(Messages.numbered(topic, "t", n), queue)
          : producer.send(Messages.numbered(topic, "t", n), (all, message, argument) -> (MessageQueue) argument, queue);
      mustBeOk(result);
      Failed.unlessEqual(queue, result.getMessageQueue(), "queue answered");
      Failed.unlessEqual(next.getOrDefault(queue.getQueueId(), 0L), result.getQueueOffset(), "queue offset answered");
      next.merge(queue.getQueueId(), 1L, (before, one) -> before + 1);
    }
    Inbox inbox = Inbox.collect(args, topic, 60);
    for (int n = 0; n < 60; n++)
      Failed.unlessEqual(queues.get(n % 3).getQueueId(), inbox.first.get(n).getQueueId(), "queue stored");
    facts.put("sent", 60);
  }

  static void compressed(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Compressed");
    DefaultMQProducer producer = Clients.producer(args);
    int n = 0;
    int shrunk = 0;
    for (int size : new int[] {4095, 4096, 4097, 20_000, 200_000, 3_000_000}) {
      StringBuilder text = new StringBuilder();
      while (text.length() < size) text.append("line ").append(text.length()).append(" of a long body that repeats\n");
      text.setLength(size);
      mustBeOk(producer.send(Messages.numbered(topic, "t", n++, text.toString().getBytes(StandardCharsets.UTF_8))));
    }
    mustBeOk(producer.send(Messages.numbered(topic, "t", n, Messages.randomBody(n, 1_000_000, 1_000_000))));
    n++;
    Inbox inbox = Inbox.collect(args, topic, n);
    for (MessageExt stored : inbox.first.values()) if (stored.getStoreSize() < stored.getBody().length) shrunk++;
    Failed.when(shrunk < 4, "only " + shrunk + " bodies were stored compressed");
    facts.put("sent", n);
    facts.put("compressed", shrunk);
  }

  static void properties(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Props");
    DefaultMQProducer producer = Clients.producer(args);
    Message message = Messages.numbered(topic, "\u6807\u7b7e", 0, new byte[] {0, 1, 2, (byte) 255, (byte) 128});
    message.setKeys(List.of("k1", "k2", "\u952e"));
    message.setFlag(0x7abcdef1);
    message.setWaitStoreMsgOK(false);
    message.setBuyerId("buyer");
    message.putUserProperty("blanks", " a  b ");
    message.putUserProperty("unicode", "Gr\u00fc\u00dfe \u4f60\u597d \ud83d\ude80");
    message.putUserProperty("separators", "a=b;c,d:e|\"'{}");
    StringBuilder longValue = new StringBuilder();
    while (longValue.length() < 20_000) longValue.append("0123456789");
    message.putUserProperty("long", longValue.toString());
    mustBeOk(producer.send(message));
    MessageExt stored = Inbox.collect(args, topic, 1).first.get(0);
    for (Map.Entry<String, String> property : message.getProperties().entrySet())
      Failed.unlessEqual(property.getValue(), String.valueOf(stored.getProperty(property.getKey())), property.getKey());
    Failed.unlessEqual(0x7abcdef1, stored.getFlag(), "flag");
    Set<String> added = new HashSet<>(stored.getProperties().keySet());
    added.removeAll(message.getProperties().keySet());
    facts.put("added", new java.util.TreeSet<>(added));
  }

  static void routes(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    String created = args.fresh("Created");
    Clients.createTopic(producer, created, 6);
    mustBeOk(producer.send(Messages.numbered(created, "t", 0)));
    String automatic = args.fresh("Auto");
    try {
      producer.fetchPublishMessageQueues(automatic);
      throw new Failed("a topic that does not exist has a route");
    } catch (org.apache.rocketmq.client.exception.MQClientException expected) {
      facts.put("unknown", expected.getErrorMessage());
    }
    SendResult first = producer.send(Messages.numbered(automatic, "t", 0));
    mustBeOk(first);
    Failed.unlessEqual(0L, first.getQueueOffset(), "first queue offset");
    Thread.sleep(500);
    Set<MessageQueue> readable = new HashSet<>(Clients.producer(args).fetchPublishMessageQueues(automatic));
    Failed.unlessEqual(4, readable.size(), "queues of an automatically created topic");
    for (MessageQueue queue : readable)
      Failed.when(queue.getBrokerName().isEmpty() || queue.getQueueId() > 3, "odd queue " + queue);
    facts.put("broker", readable.iterator().next().getBrokerName());
  }
}
