package main

import (
	"context"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// What must not work, with the code and the words that the Java broker 5.5.0 uses. This client checks next to
// nothing itself, so all of it reaches the broker.
var refusals = []scenario{{"refusals", refuse}}

func refuse(r *run) {
	ctx := context.Background()
	topic := r.fresh("Refused")
	by := r.producer()
	send(by, numbered(topic, "t", 0))
	broker := r.awaitRoute(topic)[0].BrokerName

	wants := func(what, words string, messages ...*primitive.Message) {
		_, err := by.SendSync(ctx, messages...)
		mustRefuse(err, words, what)
		r.facts[what] = err.Error()
	}
	wants("badTopic", "CODE: 29, DESC: The specified topic: bad topic!, contains illegal characters, "+
		"allowing only ^[%|a-zA-Z0-9_-]+$", numbered("bad topic!", "t", 1))
	long := strings.Repeat("x", 128)
	wants("longTopic", "CODE: 29, DESC: The specified topic: "+long+", is longer than topic max length: 127",
		numbered(long, "t", 1))
	wants("systemTopic", "CODE: 16, DESC: Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.",
		numbered("SCHEDULE_TOPIC_XXXX", "t", 1))
	illegal := "CODE: 13, DESC: the message is illegal, maybe msg body or properties length not matched. " +
		"msg body length limit 4194304B, msg properties length limit 32KB."
	wants("largeBody", illegal, primitive.NewMessage(topic, randomBody(1, 4<<20+1, 4<<20+1)))
	wide := numbered(topic, "t", 1)
	wide.WithProperty("wide", strings.Repeat("w", 40_000))
	wants("longProperties", illegal, wide)

	manual := manualProducer(r)
	astray := numbered(topic, "t", 1)
	astray.Queue = &primitive.MessageQueue{Topic: topic, BrokerName: broker, QueueId: 99}
	_, err := manual.SendSync(ctx, astray)
	mustRefuse(err, "CODE: 29, DESC: request queueId[99] is illegal", "badQueue")

	// Only a batch carries the template's name: any other send of this client names TBW102.
	untemplated := r.producer(producer.WithCreateTopicKey(topic))
	absent := r.fresh("NoTemplate")
	_, err = untemplated.SendSync(ctx, numbered(absent, "t", 0), numbered(absent, "t", 1))
	mustRefuse(err, "CODE: 17, DESC: topic["+absent+"] not exist, apply first please!", "noTemplate")

	nowhere := r.producer(producer.WithCreateTopicKey(r.fresh("NoRoute")))
	_, err = nowhere.SendSync(ctx, numbered(r.fresh("NoRouteEither"), "t", 0))
	mustRefuse(err, "route info not found", "a topic whose template has no route")

	_, err = by.SendSync(ctx, numbered(topic, "t", 1), numbered(topic+"2", "t", 2))
	mustRefuse(err, "should be the same", "a batch for two topics")

	// After all that the connection still works, and nothing refused was stored.
	send(by, numbered(topic, "t", 1))
	r.collect(topic, 2)
}
