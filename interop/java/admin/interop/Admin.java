package interop;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** mqadmin 5.5.0 in this JVM: one start of Java for all commands. Compiled only where the tools jar is. */
public final class Admin {
  private static final Map<String, CountDownLatch> STAYING = new ConcurrentHashMap<>();

  public static void register() {
    Main.SCENARIOS.put("mqadmin", Admin::mqadmin);
    Main.SCENARIOS.put("fill", Admin::fill);
    Main.SCENARIOS.put("keyed", Admin::keyed);
    Main.SCENARIOS.put("await-route", Admin::awaitRoute);
    Main.SCENARIOS.put("stay", Admin::stay);
    Main.SCENARIOS.put("leave", Admin::leave);
  }

  /** `arguments`: as on the command line, blank separated. Standard output is the result. */
  static void mqadmin(Args args, Map<String, Object> facts) throws Exception {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    ByteArrayOutputStream complained = new ByteArrayOutputStream();
    synchronized (Admin.class) {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(complained, true, StandardCharsets.UTF_8));
      try {
        forgetCommands();
        MQAdminStartup.initCommand();
        MQAdminStartup.main0(args.text("arguments").split(" "), null);
      } finally {
        System.out.flush();
        System.setOut(out);
        System.setErr(err);
      }
    }
    facts.put("out", printed.toString(StandardCharsets.UTF_8));
    facts.put("err", complained.toString(StandardCharsets.UTF_8));
  }

  /** A command keeps its client, which it shuts down at its end: on a command line each lives once. */
  private static void forgetCommands() throws Exception {
    Field commands = MQAdminStartup.class.getDeclaredField("SUB_COMMANDS");
    commands.setAccessible(true);
    ((List<?>) commands.get(null)).clear();
  }

  /**
   * topic, each: sends queue 0 `each` messages, queue 1 twice as many, and so on, numbered on from `from`. A producer
   * that chooses queues itself begins with a random one.
   */
  static void fill(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    String topic = args.text("topic");
    int sent = 0;
    for (MessageQueue queue : producer.fetchPublishMessageQueues(topic))
      for (int n = 0; n < args.number("each", 1) * (queue.getQueueId() + 1); n++)
        Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", args.number("from", 0) + sent++), queue));
    facts.put("sent", sent);
  }

  /** topic of two queues: messages to be asked for. Facts: their unique ids and their offset ids, in their order. */
  static void keyed(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    String topic = args.text("topic");
    String[][] messages = {
      {"0", "red", "one", "first of one"},
      {"1", "blue", "one two", "second of one"},
      {"0", null, null, "neither tag nor key"},
      {"0", "red", "Aa", "this hash"},
      {"0", "red", "BB", "the same hash"},
      {"1", "red", "\u0441\u043b\u043e\u0432\u043e", "\u4f60\u597d"},
    };
    List<String> uniqueIds = new ArrayList<>();
    List<String> offsetIds = new ArrayList<>();
    for (String[] parts : messages) {
      Message message = new Message(topic, parts[1], parts[2], parts[3].getBytes(StandardCharsets.UTF_8));
      message.putUserProperty("shade", "dark");
      MessageQueue queue = null;
      for (MessageQueue each : producer.fetchPublishMessageQueues(topic))
        if (each.getQueueId() == Integer.parseInt(parts[0])) queue = each;
      SendResult result = producer.send(message, queue);
      Sends.mustBeOk(result);
      uniqueIds.add(result.getMsgId());
      offsetIds.add(result.getOffsetMsgId());
    }
    facts.put("uniqueIds", uniqueIds);
    facts.put("offsetIds", offsetIds);
  }

  /** topic, queues: waits until the name server knows so many queues to read. A broker may answer before that. */
  static void awaitRoute(Args args, Map<String, Object> facts) throws Exception {
    MQClientAPIImpl api = Clients.producer(args).getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl();
    String topic = args.text("topic");
    long deadline = System.currentTimeMillis() + 10_000;
    for (Exception last = null; ; Thread.sleep(20)) {
      try {
        int queues = 0;
        for (QueueData data : api.getTopicRouteInfoFromNameServer(topic, 3_000).getQueueDatas())
          queues += data.getReadQueueNums();
        if (queues == args.number("queues", 1)) return;
      } catch (MQClientException notYet) {
        last = notYet;
      }
      Failed.when(System.currentTimeMillis() > deadline, "no such route to " + topic + " after 10 s: " + last);
    }
  }

  /** topic, group, queues: a consumer that says `PROGRESS` when it has all queues, and stays online until `leave`. */
  static void stay(Args args, Map<String, Object> facts) throws Exception {
    CountDownLatch leave = new CountDownLatch(1);
    STAYING.put(args.text("group"), leave);
    DefaultMQPushConsumer consumer = new Inbox().open(args, args.text("group"), args.text("topic"), "*");
    long deadline = System.currentTimeMillis() + 30_000;
    while (ownQueues(consumer, args.text("topic")) < args.number("queues", 1)) {
      Failed.when(System.currentTimeMillis() > deadline, "not all queues after 30 s");
      Thread.sleep(20);
    }
    Main.say("PROGRESS " + args.id + " 1");
    leave.await();
  }

  private static long ownQueues(DefaultMQPushConsumer consumer, String topic) {
    return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
        .filter((queue) -> queue.getTopic().equals(topic))
        .count();
  }

  static void leave(Args args, Map<String, Object> facts) {
    CountDownLatch leave = STAYING.remove(args.text("group"));
    Failed.when(leave == null, "no such consumer stays");
    leave.countDown();
  }
}
