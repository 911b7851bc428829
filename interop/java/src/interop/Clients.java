package interop;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;

/** Makes clients with names of their own, and closes what a scenario forgot or could not close. */
final class Clients {
  private static final AtomicInteger COUNTER = new AtomicInteger();
  private static final Map<String, List<Runnable>> OPEN = new ConcurrentHashMap<>();

  private static void closeLater(Args args, Runnable close) {
    OPEN.computeIfAbsent(args.id, (id) -> java.util.Collections.synchronizedList(new ArrayList<>())).add(close);
  }

  static void closeAll(String id) {
    List<Runnable> open = OPEN.remove(id);
    if (open == null) return;
    for (int i = open.size() - 1; i >= 0; i--) {
      try {
        open.get(i).run();
      } catch (Throwable ignored) {
        // The scenario has its verdict already.
      }
    }
  }

  static String instance() {
    // Members share queues out in the order of their names, so these order as they were made.
    return String.format("interop%05d", COUNTER.incrementAndGet());
  }

  static DefaultMQProducer producer(Args args) throws Exception {
    DefaultMQProducer producer = new DefaultMQProducer(args.fresh("PG") + "_" + COUNTER.incrementAndGet());
    producer.setNamesrvAddr(args.nameServer());
    producer.setInstanceName(instance());
    producer.setSendMsgTimeout(10_000);
    producer.start();
    closeLater(args, producer::shutdown);
    return producer;
  }

  /** Not started: the scenario subscribes and registers its listener first. */
  static DefaultMQPushConsumer push(Args args, String group) {
    DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
    consumer.setNamesrvAddr(args.nameServer());
    consumer.setInstanceName(instance());
    consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
    consumer.setConsumeThreadMin(4);
    consumer.setConsumeThreadMax(4);
    closeLater(args, consumer::shutdown);
    return consumer;
  }

  static DefaultLitePullConsumer litePull(Args args, String group) {
    DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
    consumer.setNamesrvAddr(args.nameServer());
    consumer.setInstanceName(instance());
    consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
    closeLater(args, consumer::shutdown);
    return consumer;
  }

  static DefaultMQPullConsumer pull(Args args, String group) {
    DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
    consumer.setNamesrvAddr(args.nameServer());
    consumer.setInstanceName(instance());
    closeLater(args, consumer::shutdown);
    return consumer;
  }

  /** The 4.9 and 5.x clients differ by one parameter. */
  static void createTopic(DefaultMQProducer producer, String topic, int queues) throws Exception {
    try {
      Method method = DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class, Map.class);
      method.invoke(producer, "TBW102", topic, queues, new HashMap<String, String>());
    } catch (NoSuchMethodException older) {
      DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class)
          .invoke(producer, "TBW102", topic, queues);
    }
    // The broker answers before the name server has heard of the topic, as Java's does.
    long deadline = System.currentTimeMillis() + 10_000;
    for (Exception last = null; ; Thread.sleep(50)) {
      try {
        if (producer.fetchPublishMessageQueues(topic).size() == queues) return;
      } catch (Exception notYet) {
        last = notYet;
      }
      if (System.currentTimeMillis() > deadline)
        throw new Failed("topic " + topic + " was created, but its route does not come: " + last);
    }
  }
}
