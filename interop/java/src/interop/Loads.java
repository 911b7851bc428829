package interop;

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Clients that live on while the runner kills, stops and starts servers. */
final class Loads {
  private static final Map<String, AtomicBoolean> RUNNING = new ConcurrentHashMap<>();

  static void register() {
    Main.SCENARIOS.put("load", Loads::load);
    Main.SCENARIOS.put("load-stop", Loads::stop);
    Main.SCENARIOS.put("watch", Loads::watch);
    Main.SCENARIOS.put("watch-stop", Loads::stop);
    Main.SCENARIOS.put("stored", Loads::stored);
    Main.SCENARIOS.put("committed", Loads::committed);
    Main.SCENARIOS.put("route", Loads::route);
  }

  /** `name`: what `load` or `watch` was started with. */
  static void stop(Args args, Map<String, Object> facts) {
    AtomicBoolean running = RUNNING.remove(args.text("name"));
    Failed.when(running == null, "nothing runs by the name " + args.text("name"));
    running.set(false);
  }

  private static AtomicBoolean start(Args args) {
    AtomicBoolean running = new AtomicBoolean(true);
    RUNNING.put(args.text("name"), running);
    return running;
  }

  /**
   * topic, name, file: sends one message after another on 4 threads, no retries, until `load-stop`, whatever happens
   * to the server. Each number's fate goes to the file: `n ok queue offset` or `n no`.
   */
  static void load(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.text("topic");
    AtomicBoolean running = start(args);
    DefaultMQProducer producer = Clients.producer(args);
    producer.setRetryTimesWhenSendFailed(0);
    producer.setSendMsgTimeout(3_000);
    Clients.createTopic(producer, topic, 4);
    AtomicInteger next = new AtomicInteger();
    AtomicInteger acknowledged = new AtomicInteger();
    AtomicInteger refused = new AtomicInteger();
    Map<String, AtomicInteger> reasons = new ConcurrentHashMap<>();
    List<Thread> threads = new ArrayList<>();
    List<Throwable> broken = java.util.Collections.synchronizedList(new ArrayList<>());
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args.text("file")))) {
      for (int i = 0; i < 4; i++) {
        Thread thread = new Thread(() -> {
          try {
            while (running.get()) {
              int n = next.getAndIncrement();
              String fate = sendOnce(producer, topic, n, reasons);
              boolean ok = fate.startsWith("ok");
              (ok ? acknowledged : refused).incrementAndGet();
              synchronized (out) {
                out.write(n + " " + fate + "\n");
              }
              if (!ok) Thread.sleep(20);
            }
          } catch (Throwable thrown) {
            broken.add(thrown);
          }
        });
        thread.start();
        threads.add(thread);
      }
      while (running.get()) {
        Main.say("PROGRESS " + args.id + " " + acknowledged.get());
        Thread.sleep(50);
      }
      for (Thread thread : threads) thread.join();
    }
    Failed.when(!broken.isEmpty(), broken.isEmpty() ? "" : Main.describe(broken.get(0)));
    facts.put("acknowledged", acknowledged.get());
    facts.put("unacknowledged", refused.get());
    facts.put("reasons", reasons);
  }

  private static String sendOnce(DefaultMQProducer producer, String topic, int n, Map<String, AtomicInteger> reasons) {
    String reason;
    try {
      SendResult result = producer.send(Messages.numbered(topic, "t", n, Messages.randomBody(n, 100, 1000)));
      if (result.getSendStatus() == SendStatus.SEND_OK)
        return "ok " + result.getMessageQueue().getQueueId() + " " + result.getQueueOffset();
      reason = result.getSendStatus().toString();
    } catch (Throwable expected) {
      reason = expected.getClass().getSimpleName();
      if (expected.getCause() != null) reason += "/" + expected.getCause().getClass().getSimpleName();
    }
    reasons.computeIfAbsent(reason, (key) -> new AtomicInteger()).incrementAndGet();
    return "no";
  }

  /**
   * topic, group, name, file: a push consumer that lives until `watch-stop`, and then until it has seen each number
   * that `wanted` (a file, one number a line) names. The file says how often each number came: `n times`.
   */
  static void watch(Args args, Map<String, Object> facts) throws Exception {
    AtomicBoolean running = start(args);
    Inbox inbox = new Inbox(false);
    DefaultMQPushConsumer consumer = inbox.open(args, args.text("group"), args.text("topic"), "*");
    while (running.get()) {
      Main.say("PROGRESS " + args.id + " " + inbox.distinct());
      Thread.sleep(50);
    }
    TreeSet<Integer> missing = new TreeSet<>();
    for (String line : Files.readAllLines(Path.of(args.text("wanted")))) missing.add(Integer.parseInt(line));
    int wanted = missing.size();
    for (long deadline = System.currentTimeMillis() + 60_000; ; Thread.sleep(100)) {
      missing.removeIf(inbox.seen::containsKey);
      if (missing.isEmpty()) break;
      Failed.when(System.currentTimeMillis() > deadline, "the push consumer did not get " + missing.size() + " of "
          + wanted + " messages within 60 s; the first: " + missing.first() + ", the last: " + missing.last());
    }
    consumer.shutdown();
    Failed.when(inbox.corrupt.get() > 0, inbox.corrupt.get() + " corrupt: " + inbox.firstCorrupt);
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args.text("file")))) {
      for (Map.Entry<Integer, AtomicInteger> entry : inbox.seen.entrySet())
        out.write(entry.getKey() + " " + entry.getValue().get() + "\n");
    }
    facts.put("distinct", inbox.distinct());
    facts.put("duplicates", inbox.duplicates());
  }

  /** topic, file: each queue from its min to its max offset by pull, without a gap; one line a message, `n queue offset`. */
  static void stored(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    DefaultMQPullConsumer consumer = Clients.pull(args, args.fresh("Stored"));
    consumer.start();
    Inbox inbox = new Inbox(false);
    Map<String, Object> ends = new java.util.TreeMap<>();
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args.text("file")))) {
      for (MessageQueue queue : new TreeSet<>(consumer.fetchSubscribeMessageQueues(args.text("topic")))) {
        long min = producer.minOffset(queue);
        long max = producer.maxOffset(queue);
        ends.put(Integer.toString(queue.getQueueId()), min + ".." + max);
        for (long offset = min; offset < max; ) {
          PullResult pulled = consumer.pull(queue, "*", offset, 32);
          Failed.unlessEqual(PullStatus.FOUND, pulled.getPullStatus(), "pull of " + queue + " at " + offset + " of " + max);
          for (MessageExt message : pulled.getMsgFoundList()) {
            Failed.unlessEqual(offset++, message.getQueueOffset(), "queue offset of what " + queue + " gives next");
            Failed.unlessEqual(queue.getQueueId(), message.getQueueId(), "queue of a message of " + queue);
            inbox.add(message);
            out.write(message.getUserProperty(Messages.NUMBER) + " " + queue.getQueueId() + " " + message.getQueueOffset() + "\n");
          }
        }
      }
    }
    consumer.shutdown();
    Failed.when(inbox.corrupt.get() > 0, inbox.corrupt.get() + " corrupt: " + inbox.firstCorrupt);
    facts.put("stored", inbox.arrived.get());
    facts.put("queues", ends);
  }

  /** topic, group: the group has committed each queue to its end. */
  static void committed(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    DefaultMQPullConsumer consumer = Clients.pull(args, args.text("group"));
    consumer.start();
    long deadline = System.currentTimeMillis() + 10_000;
    for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(args.text("topic")))
      while (consumer.fetchConsumeOffset(queue, true) != producer.maxOffset(queue)) {
        Failed.when(System.currentTimeMillis() > deadline, queue + " is committed to "
            + consumer.fetchConsumeOffset(queue, true) + " and ends at " + producer.maxOffset(queue));
        Thread.sleep(50);
      }
    consumer.shutdown();
  }

  /** topic, brokers: waits until the name server routes the topic to so many brokers; 0: until it knows no route. */
  static void route(Args args, Map<String, Object> facts) throws Exception {
    int wanted = args.number("brokers", 1);
    long begin = System.currentTimeMillis();
    DefaultMQProducer producer = Clients.producer(args);
    String last = "";
    while (true) {
      TreeSet<String> brokers = new TreeSet<>();
      try {
        for (MessageQueue queue : producer.fetchPublishMessageQueues(args.text("topic"))) brokers.add(queue.getBrokerName());
        last = "it goes to " + brokers;
      } catch (MQClientException none) {
        last = Main.describe(none);
        if (!isAbsent(none)) brokers.add("?");
      }
      if (brokers.size() == wanted && !brokers.contains("?")) break;
      Failed.when(System.currentTimeMillis() - begin > args.number("timeoutMs", 5_000), "after "
          + (System.currentTimeMillis() - begin) + " ms the route of " + args.text("topic") + " is not to " + wanted
          + " brokers: " + last);
      Thread.sleep(20);
    }
    facts.put("ms", System.currentTimeMillis() - begin);
    facts.put("route", last);
  }

  /** TOPIC_NOT_EXIST somewhere among the causes; no name server, say, is no answer to the question. */
  private static boolean isAbsent(Throwable thrown) {
    for (Throwable at = thrown; at != null; at = at.getCause())
      if (at instanceof MQClientException && ((MQClientException) at).getResponseCode() == 17) return true;
    return false;
  }
}
