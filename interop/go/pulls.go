package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// Consumers that ask when they want to.
var pulls = []scenario{{"pull", pull}}

func manualProducer(r *run) rocketmq.Producer {
	return r.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
}

func pull(r *run) {
	topic := r.fresh("Pull")
	queues := r.createTopic(topic, 2)
	by := manualProducer(r)
	sendTo := func(queue, n int) *primitive.SendResult {
		message := numbered(topic, map[bool]string{true: "last", false: "t"}[n == 69], n)
		message.Queue = queues[queue]
		return send(by, message)
	}
	for n := 0; n < 70; n++ {
		sendTo(0, n)
		time.Sleep(2 * time.Millisecond)
	}
	pullFrom(r, topic, *queues[0], func() { sendTo(0, 70) })
	pullByTag(r, topic, *queues[0])
	for n := 1000; n < 1040; n++ {
		sendTo(1, n)
	}
	poll(r, topic, queues)
}

// pullFrom asks for ranges of a queue of 70 messages; `more` adds one.
func pullFrom(r *run, topic string, queue primitive.MessageQueue, more func()) {
	reader := r.puller(r.fresh("CG_from"))
	must(reader.Subscribe(topic, everything), "subscribe")
	must(reader.Start(), "start of the pull consumer")
	ask := func(offset int64, count int) *primitive.PullResult {
		asked := queue
		result, err := reader.PullFrom(context.Background(), &asked, offset, count)
		must(err, fmt.Sprintf("pull of %d from %d", count, offset))
		return result
	}
	first := ask(0, 10)
	mustEqual(primitive.PullFound, first.Status, "status")
	mustEqual(10, len(first.GetMessageExts()), "messages of a pull of 10")
	mustEqual(10, first.NextBeginOffset, "next offset")
	mustEqual(0, first.MinOffset, "min offset")
	mustEqual(70, first.MaxOffset, "max offset")
	found := newInbox()
	for i, message := range first.GetMessageExts() {
		n, _ := found.add(message)
		mustEqual(i, n, "number")
		mustEqual(int64(i), message.QueueOffset, "queue offset")
	}
	found.mustHoldEachOnce(10)
	// The broker gives 32 from memory, however many are asked for.
	mustEqual(32, len(ask(5, 64).GetMessageExts()), "messages of a pull of 64")
	beyond := ask(1000, 10)
	mustEqual(primitive.PullOffsetIllegal, beyond.Status, "status beyond the end")
	mustEqual(70, beyond.NextBeginOffset, "where to go on from beyond the end")

	for _, message := range first.GetMessageExts() {
		offset, err := reader.OffsetForTimestamp(&queue, message.StoreTimestamp)
		must(err, "offset by time")
		failIf(offset < 0 || offset > message.QueueOffset, "offset %d by the time of %d", offset, message.QueueOffset)
		at := ask(offset, 1).GetMessageExts()[0]
		mustEqual(message.StoreTimestamp, at.StoreTimestamp, "store time of what was found by store time")
	}
	must(reader.UpdateOffset(&queue, 33), "offset")
	must(reader.PersistOffset(context.Background(), topic), "persisting the offset")
	mustCommit(r, r.fresh("CG_from"), queue, 33)

	began := time.Now()
	time.AfterFunc(700*time.Millisecond, func() {
		// What went wrong shows as a pull that waits too long.
		defer func() { _ = recover() }()
		more()
	})
	parked := ask(70, 10)
	waited := time.Since(began)
	mustEqual(primitive.PullFound, parked.Status, "status of the parked pull")
	mustEqual(1, len(parked.GetMessageExts()), "messages of the parked pull")
	failIf(waited < 500*time.Millisecond || waited > 3*time.Second,
		"the parked pull was answered after %v, wanted about 700 ms", waited)
	must(reader.Shutdown(), "shutdown")
}

// mustCommit asks as another client that does nothing else.
func mustCommit(r *run, group string, queue primitive.MessageQueue, wanted int64) {
	asker := r.puller(group)
	must(asker.Assign(queue.Topic, nil), "assign")
	must(asker.Start(), "start of the pull consumer")
	defer func() { _ = asker.Shutdown() }()
	var got int64
	waitUntil(5*time.Second, func() bool {
		var err error
		got, err = asker.CurrentOffset(&queue)
		must(err, "current offset")
		return got == wanted
	}, func() string { return fmt.Sprintf("the offset stored is %d, wanted %d", got, wanted) })
}

func pullByTag(r *run, topic string, queue primitive.MessageQueue) {
	reader := r.puller(r.fresh("CG_tag"))
	must(reader.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "last"}), "subscribe")
	must(reader.Start(), "start of the pull consumer")
	found := newInbox()
	offset := int64(0)
	for offset < 70 {
		result, err := reader.PullFrom(context.Background(), &queue, offset, 10)
		must(err, "pull")
		failIf(result.NextBeginOffset <= offset, "a filtered pull from %d says to go on at %d", offset, result.NextBeginOffset)
		offset = result.NextBeginOffset
		for _, message := range result.GetMessageExts() {
			found.add(message)
		}
	}
	found.mustHoldEachOnce(1)
	mustEqual(1, found.seen[69], "the message with the tag")
	_, err := reader.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: queue.BrokerName, QueueId: 99}, 0, 10)
	mustRefuse(err, "queueId[99] is illegal", "a pull from a queue that does not exist")
	absent := strings.ReplaceAll(topic, "Pull", "Absent")
	_, err = reader.PullFrom(context.Background(), &primitive.MessageQueue{Topic: absent, BrokerName: queue.BrokerName, QueueId: 0}, 0, 10)
	mustRefuse(err, "topic["+absent+"] not exist, apply first please!", "a pull from a topic that does not exist")
	must(reader.Shutdown(), "shutdown")
}

// poll takes what the client pulled in the background from queues it was assigned: 71 and 40 messages.
func poll(r *run, topic string, queues []*primitive.MessageQueue) {
	group := r.fresh("CG_poll")
	reader := r.puller(group)
	must(reader.Assign(topic, queues), "assign")
	// 30 of the first queue are skipped.
	reader.SeekOffset(queues[0], 30)
	must(reader.Start(), "start of the pull consumer")
	found := newInbox()
	for deadline := time.Now().Add(30 * time.Second); found.distinct() < 81; {
		failIf(time.Now().After(deadline), "polled %d of 81", found.distinct())
		request, err := reader.Poll(context.Background(), 500*time.Millisecond)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		must(err, "poll")
		for _, message := range request.GetMsgList() {
			found.add(message)
		}
		reader.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
	_, err := reader.Poll(context.Background(), 300*time.Millisecond)
	failIf(!consumer.IsNoNewMsgError(err), "more than was sent: %v", err)
	found.mustHoldEachOnce(81)
	failIf(found.seen[29] > 0 || found.seen[30] == 0, "the seek to 30 was not followed")
	must(reader.Shutdown(), "shutdown")
	mustCommit(r, group, *queues[0], 71)
	mustCommit(r, group, *queues[1], 40)
}
