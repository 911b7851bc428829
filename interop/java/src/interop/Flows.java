package interop;

import java.io.BufferedWriter;
import java.io.FileWriter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.MessageQueue;

/** Halves of a flow, so that the runner can put another client or another server between them. */
final class Flows {
  static void register() {
    Main.SCENARIOS.put("produce", Flows::produce);
    Main.SCENARIOS.put("consume", Flows::consume);
    Main.SCENARIOS.put("queue-ends", Flows::queueEnds);
  }

  /** Sends numbers `from` until `from + count`, up to 64 in flight. Answers the sum over all bodies. */
  static String send(DefaultMQProducer producer, String topic, int from, int count, Map<String, Object> facts)
      throws Exception {
    producer.setRetryTimesWhenSendAsyncFailed(0);
    // Tiny bodies count too: the first may be empty in one client and not in another, so 1 is the least.
    Semaphore inFlight = new Semaphore(64);
    List<Throwable> errors = java.util.Collections.synchronizedList(new ArrayList<>());
    long sum = 0;
    for (int n = from; n < from + count && errors.isEmpty(); n++) {
      byte[] body = Messages.randomBody(n, 1, 2000);
      sum ^= ByteBuffer.wrap(Messages.sha(body)).getLong();
      Failed.when(!inFlight.tryAcquire(15, TimeUnit.SECONDS), "64 sends without an answer for 15 s");
      producer.send(Messages.numbered(topic, "t", n, body), new SendCallback() {
        @Override
        public void onSuccess(SendResult result) {
          if (result.getSendStatus() != SendStatus.SEND_OK) errors.add(new Failed("status " + result.getSendStatus()));
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
    Failed.when(!errors.isEmpty(), errors.isEmpty() ? "" : errors.size() + " sends failed: " + Main.describe(errors.get(0)));
    facts.put("sent", count);
    return String.format("%016x", sum);
  }

  /** topic, count, from, queues (0: leave the topic to the broker) */
  static void produce(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    String topic = args.text("topic");
    int from = args.number("from", 0);
    int count = args.number("count", 1000);
    if (args.number("queues", 0) > 0) Clients.createTopic(producer, topic, args.number("queues", 0));
    else {
      // The topic's first send alone, so that it is created once.
      Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", from, Messages.randomBody(from, 1, 2000))));
      long sum = ByteBuffer.wrap(Messages.sha(Messages.randomBody(from, 1, 2000))).getLong();
      String rest = send(producer, topic, from + 1, count - 1, facts);
      facts.put("sum", String.format("%016x", sum ^ Long.parseUnsignedLong(rest, 16)));
      facts.put("sent", count);
      return;
    }
    facts.put("sum", send(producer, topic, from, count, facts));
  }

  /** topic, group, count: each number at least once; answers what else came. */
  static void consume(Args args, Map<String, Object> facts) throws Exception {
    Inbox inbox = new Inbox();
    String group = args.text("group");
    DefaultMQPushConsumer consumer = inbox.open(args, group, args.text("topic"), args.text("tags", "*"));
    inbox.await(args.number("count", 0), args.number("timeoutMs", 60_000));
    Thread.sleep(args.number("lingerMs", 0));
    consumer.shutdown();
    Failed.when(inbox.corrupt.get() > 0, inbox.corrupt.get() + " corrupt: " + inbox.firstCorrupt);
    facts.put("arrived", inbox.arrived.get());
    facts.put("distinct", inbox.distinct());
    facts.put("duplicates", inbox.duplicates());
    facts.put("sum", inbox.sumText());
    String file = args.text("file", "");
    if (file.isEmpty()) return;
    try (BufferedWriter out = new BufferedWriter(new FileWriter(file))) {
      for (Map.Entry<Integer, AtomicInteger> entry : inbox.seen.entrySet())
        out.write(entry.getKey() + " " + entry.getValue().get() + "\n");
    }
  }

  /** Where every queue of a topic begins and ends, and the group's offsets are. */
  static void queueEnds(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    org.apache.rocketmq.client.consumer.DefaultMQPullConsumer consumer = Clients.pull(args, args.text("group"));
    consumer.start();
    Map<String, Object> ends = new java.util.TreeMap<>();
    for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(args.text("topic")))
      ends.put(Integer.toString(queue.getQueueId()), producer.minOffset(queue) + ".." + producer.maxOffset(queue)
          + " consumed " + consumer.fetchConsumeOffset(queue, true));
    facts.put("queues", ends);
    consumer.shutdown();
  }
}
