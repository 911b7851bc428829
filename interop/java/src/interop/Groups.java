package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers of one group who share the work, come and go. */
final class Groups {
  static void register() {
    Main.SCENARIOS.put("push-orderly", Groups::orderly);
    Main.SCENARIOS.put("cluster-share", Groups::share);
    Main.SCENARIOS.put("cluster-rebalance", Groups::rebalance);
  }

  /** Queues that this member works on now. */
  static int queuesOf(DefaultMQPushConsumer consumer, String topic) {
    int count = 0;
    for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet())
      if (queue.getTopic().equals(topic)) count++;
    return count;
  }

  static void awaitQueues(String what, DefaultMQPushConsumer consumer, String topic, int wanted, long timeoutMs)
      throws InterruptedException {
    for (long deadline = System.currentTimeMillis() + timeoutMs; queuesOf(consumer, topic) != wanted; Thread.sleep(20))
      Failed.when(System.currentTimeMillis() > deadline,
          what + ": has " + queuesOf(consumer, topic) + " queues after " + timeoutMs + " ms, wanted " + wanted);
  }

  /** Order per key while a second member takes over half of the queues and leaves again. */
  static void orderly(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Orderly");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 4);
    int count = 600;
    int keys = 10;
    Inbox inbox = new Inbox();
    Map<Integer, Integer> highest = new ConcurrentHashMap<>();
    Map<Integer, AtomicBoolean> busy = new ConcurrentHashMap<>();
    List<String> disorder = java.util.Collections.synchronizedList(new ArrayList<>());
    AtomicInteger[] shares = {new AtomicInteger(), new AtomicInteger()};
    DefaultMQPushConsumer[] members = new DefaultMQPushConsumer[2];
    for (int i = 0; i < 2; i++) {
      int member = i;
      members[i] = Clients.push(args, group);
      members[i].subscribe(topic, "*");
      members[i].registerMessageListener((MessageListenerOrderly) (messages, context) -> {
        for (MessageExt message : messages) {
          AtomicBoolean queue = busy.computeIfAbsent(message.getQueueId(), (id) -> new AtomicBoolean());
          if (!queue.compareAndSet(false, true)) disorder.add("two threads on queue " + message.getQueueId());
          int n = Integer.parseInt(message.getUserProperty(Messages.NUMBER));
          // A member that leaves may have consumed what it could not commit: again is allowed, ahead is not.
          if (!inbox.seen.containsKey(n)) {
            int before = highest.getOrDefault(n % keys, n % keys - keys);
            if (n != before + keys) disorder.add("key " + n % keys + ": " + n + " came after " + before);
            highest.put(n % keys, n);
          }
          inbox.add(message);
          shares[member].incrementAndGet();
          queue.set(false);
        }
        return ConsumeOrderlyStatus.SUCCESS;
      });
    }
    members[0].start();
    awaitQueues("the only member", members[0], topic, 4, 10_000);
    AtomicInteger sent = new AtomicInteger();
    AtomicBoolean sending = new AtomicBoolean(true);
    Thread sender = new Thread(() -> {
      try {
        // The last fifth waits until both members work, so that both have something to do.
        for (int n = 0; n < count; n++) {
          while (n >= count * 4 / 5 && sending.get()) Thread.sleep(20);
          Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n),
              (queues, message, key) -> queues.get((Integer) key % queues.size()), n % keys));
          sent.incrementAndGet();
          if (n < 200) Thread.sleep(5);
        }
      } catch (Throwable thrown) {
        disorder.add(Main.describe(thrown));
      }
    });
    sender.start();
    Thread.sleep(500);
    long joined = System.currentTimeMillis();
    members[1].start();
    awaitQueues("the old member", members[0], topic, 2, 10_000);
    facts.put("yieldedMs", System.currentTimeMillis() - joined);
    // A queue's lock is asked for again with the next rebalance: 20 s in the 4.9 client.
    awaitQueues("the new member", members[1], topic, 2, 45_000);
    facts.put("tookOverMs", System.currentTimeMillis() - joined);
    sending.set(false);
    sender.join();
    inbox.await(count, 60_000);
    Failed.when(!disorder.isEmpty(), disorder.size() + " times out of order: " + (disorder.isEmpty() ? "" : disorder.get(0)));
    Failed.when(shares[1].get() == 0, "the second member got nothing");
    Failed.unlessEqual(0, inbox.corrupt.get(), "corrupt bodies");
    members[1].shutdown();
    members[0].shutdown();
    facts.put("duplicates", inbox.duplicates());
    facts.put("shares", List.of(shares[0].get(), shares[1].get()));
  }

  /** Two members from the start: each message goes to one of them, and both work. */
  static void share(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Share");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 4);
    Inbox one = new Inbox();
    Inbox two = new Inbox();
    DefaultMQPushConsumer first = one.open(args, group, topic, "*");
    DefaultMQPushConsumer second = two.open(args, group, topic, "*");
    // By notification, far below the 20 s of the client's own rebalancing.
    awaitQueues("the first member", first, topic, 2, 8_000);
    awaitQueues("the second member", second, topic, 2, 8_000);
    for (int n = 0; n < 400; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    for (long deadline = System.currentTimeMillis() + Messages.PATIENCE_MS; one.distinct() + two.distinct() < 400; Thread.sleep(10))
      Failed.when(System.currentTimeMillis() > deadline, one.distinct() + " + " + two.distinct() + " of 400 arrived");
    Thread.sleep(150);
    Failed.unlessEqual(400, one.arrived.get() + two.arrived.get(), "messages over both members");
    Failed.when(one.distinct() < 50 || two.distinct() < 50, "uneven: " + one.distinct() + " and " + two.distinct());
    // Leaving is told as well: the one who stays takes everything.
    second.shutdown();
    awaitQueues("the member who stayed", first, topic, 4, 8_000);
    first.shutdown();
  }

  /** Members join and leave while messages flow; nothing may be lost, what comes twice is counted. */
  static void rebalance(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Rebalance");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 8);
    Inbox inbox = new Inbox();
    AtomicInteger[] shares = {new AtomicInteger(), new AtomicInteger(), new AtomicInteger()};
    DefaultMQPushConsumer[] members = new DefaultMQPushConsumer[3];
    for (int i = 0; i < 3; i++) {
      int member = i;
      members[i] = Clients.push(args, group);
      members[i].subscribe(topic, "*");
      members[i].registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
        for (MessageExt message : messages) {
          inbox.add(message);
          shares[member].incrementAndGet();
        }
        return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
      });
    }
    AtomicBoolean flowing = new AtomicBoolean(true);
    AtomicInteger sent = new AtomicInteger();
    List<Throwable> failed = java.util.Collections.synchronizedList(new ArrayList<>());
    Thread sender = new Thread(() -> {
      try {
        while (flowing.get()) {
          Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", sent.get())));
          sent.incrementAndGet();
          Thread.sleep(2);
        }
      } catch (Throwable thrown) {
        failed.add(thrown);
      }
    });
    members[0].start();
    sender.start();
    awaitQueues("alone", members[0], topic, 8, 10_000);
    Thread.sleep(500);
    members[1].start();
    awaitQueues("first of two", members[0], topic, 4, 10_000);
    awaitQueues("second of two", members[1], topic, 4, 10_000);
    Thread.sleep(500);
    members[2].start();
    awaitQueues("third of three", members[2], topic, 2, 10_000);
    Thread.sleep(500);
    members[0].shutdown();
    awaitQueues("second, first left", members[1], topic, 4, 10_000);
    awaitQueues("third, first left", members[2], topic, 4, 10_000);
    Thread.sleep(500);
    members[1].shutdown();
    awaitQueues("the last", members[2], topic, 8, 10_000);
    Thread.sleep(500);
    flowing.set(false);
    sender.join();
    Failed.when(!failed.isEmpty(), failed.isEmpty() ? "" : Main.describe(failed.get(0)));
    inbox.await(sent.get(), 60_000);
    members[2].shutdown();
    Failed.unlessEqual(0, inbox.corrupt.get(), "corrupt bodies");
    facts.put("sent", sent.get());
    facts.put("duplicates", inbox.duplicates());
    facts.put("shares", List.of(shares[0].get(), shares[1].get(), shares[2].get()));
    for (AtomicInteger share : shares) Failed.when(share.get() == 0, "a member got nothing");
  }
}
