package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that ask when they want to, and the questions about offsets. */
final class Pulls {
  static void register() {
    Main.SCENARIOS.put("lite-pull-subscribe", Pulls::subscribe);
    Main.SCENARIOS.put("lite-pull-assign", Pulls::assign);
    Main.SCENARIOS.put("pull", Pulls::pull);
    Main.SCENARIOS.put("offsets", Pulls::offsets);
  }

  static void subscribe(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("LiteSub");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    for (int n = 0; n < 120; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "tag" + n % 2, n)));
    Inbox all = poll(args, group, topic, "*", 120);
    all.mustHoldEachOnce(120);
    // Committed at shutdown, so the group goes on where it was.
    for (int n = 120; n < 150; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "tag" + n % 2, n)));
    Inbox rest = poll(args, group, topic, "*", 30);
    Failed.unlessEqual(30, rest.distinct(), "messages for the second consumer");
    Failed.when(!rest.seen.containsKey(120), "the second consumer began elsewhere");
    Inbox odd = poll(args, group + "_odd", topic, "tag1", 75);
    for (MessageExt message : odd.first.values()) Failed.unlessEqual("tag1", message.getTags(), "tag");
    Failed.unlessEqual(75, odd.distinct(), "messages with the tag");
  }

  private static Inbox poll(Args args, String group, String topic, String tags, int wanted) throws Exception {
    DefaultLitePullConsumer consumer = Clients.litePull(args, group);
    consumer.subscribe(topic, tags);
    consumer.setPullBatchSize(16);
    consumer.start();
    Inbox inbox = new Inbox();
    long deadline = System.currentTimeMillis() + 30_000;
    while (inbox.distinct() < wanted) {
      Failed.when(System.currentTimeMillis() > deadline, "polled " + inbox.distinct() + " of " + wanted);
      for (MessageExt message : consumer.poll(500)) inbox.add(message);
    }
    for (MessageExt message : consumer.poll(200)) inbox.add(message);
    consumer.commitSync();
    consumer.shutdown();
    return inbox;
  }

  static void assign(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("LiteAssign");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 4);
    List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
    for (int n = 0; n < 200; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n), queues.get(n % 4)));
    DefaultLitePullConsumer consumer = Clients.litePull(args, args.fresh("CG"));
    consumer.setAutoCommit(false);
    consumer.start();
    Collection<MessageQueue> found = consumer.fetchMessageQueues(topic);
    Failed.unlessEqual(4, found.size(), "queues found");
    List<MessageQueue> half = new ArrayList<>();
    for (MessageQueue queue : found) if (queue.getQueueId() < 2) half.add(queue);
    consumer.assign(half);
    // The client starts to pull as it is assigned, and a seek on top of a pull under way goes wrong in it: all is drained first.
    Inbox drained = new Inbox();
    for (long deadline = System.currentTimeMillis() + 20_000; drained.distinct() < 100; ) {
      Failed.when(System.currentTimeMillis() > deadline, "polled " + drained.distinct() + " of 100");
      for (MessageExt message : consumer.poll(300)) drained.add(message);
    }
    for (MessageQueue queue : half) consumer.seek(queue, 10);
    Inbox inbox = new Inbox();
    for (long deadline = System.currentTimeMillis() + 20_000; inbox.distinct() < 80; ) {
      Failed.when(System.currentTimeMillis() > deadline, "polled " + inbox.distinct() + " of 80");
      for (MessageExt message : consumer.poll(300)) inbox.add(message);
    }
    for (MessageExt message : inbox.first.values())
      Failed.when(message.getQueueId() > 1 || message.getQueueOffset() < 10, "not asked for: " + message);
    consumer.commitSync();
    for (MessageQueue queue : half) {
      // commitSync hands the offsets to a store that writes through in the background.
      for (long deadline = System.currentTimeMillis() + 8_000; consumer.committed(queue) != 50; Thread.sleep(100))
        Failed.when(System.currentTimeMillis() > deadline, "committed " + consumer.committed(queue) + ", wanted 50");
      consumer.seekToBegin(queue);
    }
    Inbox again = new Inbox();
    for (long deadline = System.currentTimeMillis() + 20_000; again.distinct() < 100; ) {
      Failed.when(System.currentTimeMillis() > deadline, "polled " + again.distinct() + " of 100 from the begin");
      for (MessageExt message : consumer.poll(300)) again.add(message);
    }
    consumer.shutdown();
  }

  static void pull(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Pull");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 1);
    MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
    DefaultMQPullConsumer consumer = Clients.pull(args, args.fresh("CG"));
    consumer.start();
    Failed.unlessEqual(1, consumer.fetchSubscribeMessageQueues(topic).size(), "queues");
    PullResult empty = consumer.pull(queue, "*", 0, 10);
    facts.put("empty", empty.getPullStatus());
    for (int n = 0; n < 70; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, n == 69 ? "last" : "t", n), queue));
    PullResult first = consumer.pull(queue, "*", 0, 10);
    Failed.unlessEqual(PullStatus.FOUND, first.getPullStatus(), "status");
    Failed.unlessEqual(10, first.getMsgFoundList().size(), "messages of a pull of 10");
    Failed.unlessEqual(10L, first.getNextBeginOffset(), "next offset");
    Failed.unlessEqual(0L, first.getMinOffset(), "min offset");
    Failed.unlessEqual(70L, first.getMaxOffset(), "max offset");
    PullResult many = consumer.pull(queue, "*", 5, 64);
    Failed.unlessEqual(32, many.getMsgFoundList().size(), "messages of a pull of 64 (the broker gives 32 from memory)");
    PullResult filtered = consumer.pull(queue, "last", 0, 10);
    Failed.unlessEqual(PullStatus.FOUND, filtered.getPullStatus(), "status with a filter");
    Failed.unlessEqual(70L, filtered.getNextBeginOffset(), "next offset with a filter");
    PullResult none = consumer.pull(queue, "nothing", 0, 10);
    Failed.unlessEqual(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "status when nothing matches");
    PullResult end = consumer.pull(queue, "*", 70, 10);
    Failed.unlessEqual(PullStatus.NO_NEW_MSG, end.getPullStatus(), "status at the end");
    PullResult beyond = consumer.pull(queue, "*", 1000, 10);
    Failed.unlessEqual(PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus(), "status beyond the end");
    Failed.unlessEqual(70L, beyond.getNextBeginOffset(), "where to go on from beyond the end");
    facts.put("unknownGroup", consumer.fetchConsumeOffset(queue, true));
    consumer.updateConsumeOffset(queue, 33);
    consumer.getOffsetStore().persist(queue);
    for (long deadline = System.currentTimeMillis() + 5_000; consumer.fetchConsumeOffset(queue, true) != 33; Thread.sleep(50))
      Failed.when(System.currentTimeMillis() > deadline, "offset stored: " + consumer.fetchConsumeOffset(queue, true));
    long before = System.currentTimeMillis();
    Thread later = new Thread(() -> {
      try {
        Thread.sleep(700);
        producer.send(Messages.numbered(topic, "t", 70), queue);
      } catch (Exception shownByTheDelay) {
      }
    });
    later.start();
    PullResult parked = consumer.pullBlockIfNotFound(queue, "*", 70, 10);
    Failed.unlessEqual(PullStatus.FOUND, parked.getPullStatus(), "status of the parked pull");
    long waited = System.currentTimeMillis() - before;
    Failed.when(waited < 500 || waited > 3000, "the parked pull was answered after " + waited + " ms, wanted about 700");
    consumer.shutdown();
  }

  static void offsets(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Offsets");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 2);
    MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
    DefaultMQPullConsumer consumer = Clients.pull(args, args.fresh("CG"));
    consumer.start();
    Failed.unlessEqual(0L, producer.maxOffset(queue), "max offset of an empty queue");
    Failed.unlessEqual(0L, producer.minOffset(queue), "min offset of an empty queue");
    facts.put("earliestOfEmpty", consumer.earliestMsgStoreTime(queue));
    SendResult third = null;
    for (int n = 0; n < 9; n++) {
      SendResult result = producer.send(Messages.numbered(topic, "t", n), queue);
      if (n == 3) third = result;
      Thread.sleep(30);
    }
    Failed.unlessEqual(9L, producer.maxOffset(queue), "max offset");
    Failed.unlessEqual(0L, producer.minOffset(queue), "min offset");
    List<MessageExt> stored = consumer.pull(queue, "*", 0, 32).getMsgFoundList();
    Failed.unlessEqual(9, stored.size(), "messages");
    Failed.unlessEqual(third.getMsgId(), stored.get(3).getMsgId(), "fourth message");
    for (int n = 0; n < 9; n++) {
      long at = stored.get(n).getStoreTimestamp();
      Failed.unlessEqual((long) n, producer.searchOffset(queue, at), "offset of the store time of message " + n);
      if (n > 0)
        Failed.unlessEqual((long) n, producer.searchOffset(queue, at - 1), "offset just before message " + n);
    }
    Failed.unlessEqual(0L, producer.searchOffset(queue, 1), "offset of long ago");
    facts.put("afterTheLast", producer.searchOffset(queue, System.currentTimeMillis() + 60_000));
    Failed.unlessEqual(stored.get(0).getStoreTimestamp(), consumer.earliestMsgStoreTime(queue), "earliest store time");
    consumer.shutdown();
  }
}
