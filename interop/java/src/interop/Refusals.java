package interop;

import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.impl.producer.DefaultMQProducerImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** What must not work, with the code and the words that the Java broker 5.5.0 uses. */
final class Refusals {
  static void register() {
    Main.SCENARIOS.put("refusals", Refusals::refusals);
  }

  static void refusals(Args args, Map<String, Object> facts) throws Exception {
    DefaultMQProducer producer = Clients.producer(args);
    String topic = args.fresh("Refused");
    Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", 0)));
    MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);

    // The client itself knows these.
    try {
      producer.send(new Message("bad topic!", new byte[] {1}));
      throw new Failed("a topic with a blank was accepted");
    } catch (MQClientException refused) {
      Failed.when(!refused.getErrorMessage().contains("illegal characters"), refused.getErrorMessage());
    }

    // The broker must know them as well. Header fields as of SEND_MESSAGE_V2.
    answer(producer, queue, facts, "badTopic", 310, send("bad topic!", 0), 29,
        "The specified topic: bad topic!, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$");
    answer(producer, queue, facts, "longTopic", 310, send("x".repeat(128), 0), 29,
        "The specified topic: " + "x".repeat(128) + ", is longer than topic max length: 127");
    answer(producer, queue, facts, "systemTopic", 310, send("SCHEDULE_TOPIC_XXXX", 0), 16,
        "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.");
    answer(producer, queue, facts, "badQueue", 310, send(topic, 99), 29, "request queueId[99] is illegal");
    answer(producer, queue, facts, "unknownCode", 9999, new HashMap<>(), 3, " request type 9999 not supported");
    HashMap<String, String> noTemplate = send(args.fresh("NoTemplate"), 0);
    noTemplate.put("c", "NoSuchTemplate");
    answer(producer, queue, facts, "noTemplate", 310, noTemplate, 17,
        "topic[" + noTemplate.get("b") + "] not exist, apply first please!");
    HashMap<String, String> offset = new HashMap<>();
    offset.put("consumerGroup", args.fresh("NoGroup"));
    offset.put("topic", topic);
    offset.put("queueId", String.valueOf(queue.getQueueId()));
    Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", 1), queue));
    // A young queue is read from its beginning, unless the group says that it wants to know.
    answer(producer, queue, facts, "youngOffset", 14, offset, 0, "null");
    offset.put("setZeroIfNotFound", "false");
    answer(producer, queue, facts, "noOffset", 14, offset, 22, "Not found, do not set to zero");

    try {
      producer.send(new Message(topic, new byte[4 * 1024 * 1024 + 1]));
      throw new Failed("a body above 4 MiB was accepted");
    } catch (MQClientException refused) {
      Failed.unlessEqual(13, refused.getResponseCode(), "code for a large body");
    }
    try {
      producer.maxOffset(new MessageQueue(args.fresh("Absent"), queue.getBrokerName(), 0));
      facts.put("absentTopic", "answered");
    } catch (MQClientException refused) {
      facts.put("absentTopic", refused.getErrorMessage());
    }
    // After all that the connection still works.
    Sends.mustBeOk(producer.send(Messages.numbered(topic, "t", 1)));
  }

  private static HashMap<String, String> send(String topic, int queueId) {
    HashMap<String, String> fields = new HashMap<>();
    fields.put("a", "PG");
    fields.put("b", topic);
    fields.put("c", "TBW102");
    fields.put("d", "4");
    fields.put("e", Integer.toString(queueId));
    fields.put("f", "0");
    fields.put("g", Long.toString(System.currentTimeMillis()));
    fields.put("h", "0");
    fields.put("i", "");
    fields.put("j", "0");
    fields.put("k", "false");
    fields.put("m", "false");
    return fields;
  }

  private static void answer(DefaultMQProducer producer, MessageQueue queue, Map<String, Object> facts, String what, int code,
      HashMap<String, String> fields, int wantedCode, String wantedRemark) throws Exception {
    DefaultMQProducerImpl inner = producer.getDefaultMQProducerImpl();
    Method factory;
    try {
      factory = DefaultMQProducerImpl.class.getMethod("getMqClientFactory");
    } catch (NoSuchMethodException older) {
      factory = DefaultMQProducerImpl.class.getMethod("getmQClientFactory");
    }
    MQClientInstance instance = (MQClientInstance) factory.invoke(inner);
    RemotingClient client = instance.getMQClientAPIImpl().getRemotingClient();
    String address = instance.findBrokerAddressInPublish(queue.getBrokerName());
    RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
    request.setExtFields(fields);
    request.setBody(new byte[] {1, 2, 3});
    RemotingCommand response = client.invokeSync(address, request, 5_000);
    String remark = String.valueOf(response.getRemark());
    facts.put(what, response.getCode() + " " + remark);
    Failed.when(response.getCode() != wantedCode || !remark.startsWith(wantedRemark),
        what + ": wanted " + wantedCode + " `" + wantedRemark + "`, got " + response.getCode() + " `" + remark + "`");
  }
}
