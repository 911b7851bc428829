package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers, one or several that do not share their work. */
final class Consumes {
  static void register() {
    Main.SCENARIOS.put("tags", Consumes::tags);
    Main.SCENARIOS.put("push-concurrent", Consumes::concurrent);
    Main.SCENARIOS.put("push-waiting", Consumes::waiting);
    Main.SCENARIOS.put("push-resume", Consumes::resume);
    Main.SCENARIOS.put("push-from-time", Consumes::fromTime);
    Main.SCENARIOS.put("broadcast", Consumes::broadcast);
    Main.SCENARIOS.put("bulk-10000", Consumes::bulk);
  }

  static void tags(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Tags");
    DefaultMQProducer producer = Clients.producer(args);
    // "Aa" and "BB" have one hash code: the broker lets both pass, the client must see the difference.
    String[] tags = {"red", "green", "blue", "Aa", "BB"};
    for (int n = 0; n < 250; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, tags[n % 5], n)));
    Message untagged = Messages.numbered(topic, null, 250);
    Sends.mustBeOk(producer.send(untagged));
    String[] expressions = {"*", "red", "red || blue", "Aa", "none"};
    int[] wanted = {251, 50, 100, 50, 0};
    List<Inbox> inboxes = new ArrayList<>();
    List<DefaultMQPushConsumer> consumers = new ArrayList<>();
    for (int i = 0; i < expressions.length; i++) {
      Inbox inbox = new Inbox();
      inboxes.add(inbox);
      consumers.add(inbox.open(args, args.fresh("CG") + "_" + i, topic, expressions[i]));
    }
    for (int i = 0; i < expressions.length; i++) {
      Inbox inbox = inboxes.get(i);
      inbox.await(wanted[i], Messages.PATIENCE_MS);
      inbox.mustHoldEachOnce(wanted[i]);
      for (MessageExt message : inbox.first.values())
        Failed.when(i > 0 && !List.of(expressions[i].split(" \\|\\| ")).contains(message.getTags()),
            "subscribed to " + expressions[i] + ", got " + message.getTags());
    }
    for (DefaultMQPushConsumer consumer : consumers) consumer.shutdown();
  }

  static void concurrent(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Concurrent");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 8);
    Inbox inbox = new Inbox();
    DefaultMQPushConsumer consumer = Clients.push(args, args.fresh("CG"));
    consumer.subscribe(topic, "*");
    consumer.setConsumeMessageBatchMaxSize(10);
    consumer.registerMessageListener(inbox.listener());
    consumer.start();
    for (int n = 0; n < 1000; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    inbox.await(1000, Messages.PATIENCE_MS);
    inbox.mustHoldEachOnce(1000);
    consumer.shutdown();
    java.util.Set<Integer> queues = new java.util.TreeSet<>();
    for (MessageExt message : inbox.first.values()) queues.add(message.getQueueId());
    Failed.unlessEqual(8, queues.size(), "queues used");
  }

  /** A parked pull must be answered when a message arrives, not when its time is up. */
  static void waiting(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Waiting");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 1);
    AtomicInteger arrived = new AtomicInteger();
    AtomicLong slowest = new AtomicLong();
    DefaultMQPushConsumer consumer = Clients.push(args, args.fresh("CG"));
    consumer.subscribe(topic, "wanted");
    consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
      for (MessageExt message : messages) {
        slowest.accumulateAndGet(System.currentTimeMillis() - message.getBornTimestamp(), Math::max);
        arrived.incrementAndGet();
      }
      return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    });
    consumer.start();
    Sends.mustBeOk(producer.send(Messages.numbered(topic, "wanted", 0)));
    for (long deadline = System.currentTimeMillis() + Messages.PATIENCE_MS; arrived.get() < 1; Thread.sleep(20))
      Failed.when(System.currentTimeMillis() > deadline, "the first message did not arrive");
    slowest.set(0);
    Thread.sleep(500);
    for (int n = 1; n <= 20; n++) {
      Sends.mustBeOk(producer.send(Messages.numbered(topic, "other", n)));
      Sends.mustBeOk(producer.send(Messages.numbered(topic, "wanted", n)));
      Thread.sleep(80);
    }
    for (long deadline = System.currentTimeMillis() + 20_000; arrived.get() < 21; Thread.sleep(20))
      Failed.when(System.currentTimeMillis() > deadline, arrived.get() + " of 21 arrived");
    consumer.shutdown();
    facts.put("slowestMs", slowest.get());
    Failed.when(slowest.get() > 1500, "a message waited " + slowest.get() + " ms for a consumer that was waiting");
  }

  static void resume(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Resume");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    for (int n = 0; n < 100; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    Inbox before = new Inbox();
    DefaultMQPushConsumer first = before.open(args, group, topic, "*");
    before.await(100, Messages.PATIENCE_MS);
    before.mustHoldEachOnce(100);
    first.shutdown();
    for (int n = 100; n < 150; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    Inbox after = new Inbox();
    DefaultMQPushConsumer second = after.open(args, group, topic, "*");
    after.await(50, Messages.PATIENCE_MS);
    second.shutdown();
    Failed.unlessEqual(50, after.distinct(), "messages after the restart of the consumer");
    for (int n = 100; n < 150; n++) Failed.when(!after.seen.containsKey(n), "message " + n + " did not come");
  }

  static void fromTime(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("FromTime");
    DefaultMQProducer producer = Clients.producer(args);
    for (int n = 0; n < 40; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    // The setting has seconds, so both sides of the border lie more than one second away from it.
    Thread.sleep(2100);
    String border = new java.text.SimpleDateFormat("yyyyMMddHHmmss").format(new java.util.Date());
    Thread.sleep(1100);
    for (int n = 40; n < 60; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    Inbox inbox = new Inbox();
    DefaultMQPushConsumer consumer = Clients.push(args, args.fresh("CG"));
    consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
    consumer.setConsumeTimestamp(border);
    consumer.subscribe(topic, "*");
    consumer.registerMessageListener(inbox.listener());
    consumer.start();
    // A new group on a young queue is told offset 0, whatever it asks for: Java's broker does so too.
    inbox.await(60, Messages.PATIENCE_MS);
    consumer.shutdown();
    inbox.mustHoldEachOnce(60);
  }

  static void broadcast(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Broadcast");
    String group = args.fresh("CG");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 4);
    List<Inbox> inboxes = new ArrayList<>();
    List<DefaultMQPushConsumer> consumers = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      Inbox inbox = new Inbox();
      DefaultMQPushConsumer consumer = Clients.push(args, group);
      setBroadcasting(consumer);
      consumer.subscribe(topic, "*");
      consumer.registerMessageListener(inbox.listener());
      consumer.start();
      inboxes.add(inbox);
      consumers.add(consumer);
    }
    for (int n = 0; n < 200; n++) Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", n)));
    for (Inbox inbox : inboxes) {
      inbox.await(200, Messages.PATIENCE_MS);
      inbox.mustHoldEachOnce(200);
    }
    for (DefaultMQPushConsumer consumer : consumers) consumer.shutdown();
  }

  /** MessageModel moved from one package to another between 4.9 and 5. */
  private static void setBroadcasting(DefaultMQPushConsumer consumer) throws Exception {
    for (java.lang.reflect.Method method : DefaultMQPushConsumer.class.getMethods()) {
      if (!method.getName().equals("setMessageModel")) continue;
      for (Object model : method.getParameterTypes()[0].getEnumConstants())
        if (model.toString().equals("BROADCASTING")) method.invoke(consumer, model);
    }
    Failed.unlessEqual("BROADCASTING", consumer.getClass().getMethod("getMessageModel").invoke(consumer).toString(), "model");
  }

  static void bulk(Args args, Map<String, Object> facts) throws Exception {
    String topic = args.fresh("Bulk");
    DefaultMQProducer producer = Clients.producer(args);
    Clients.createTopic(producer, topic, 8);
    Inbox inbox = new Inbox();
    DefaultMQPushConsumer consumer = inbox.open(args, args.fresh("CG"), topic, "*");
    int count = args.number("count", 10_000);
    String sum = Flows.send(producer, topic, 0, count, facts);
    inbox.await(count, 90_000);
    consumer.shutdown();
    inbox.mustHoldEachOnce(count);
    Failed.unlessEqual(sum, inbox.sumText(), "sum over all bodies");
    facts.put("sum", sum);
  }
}
