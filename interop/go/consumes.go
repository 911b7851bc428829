package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Push consumers, one or several that do not share their work.
var consumes = []scenario{
	{"tags", filterTags},
	{"push-concurrent", pushConcurrent},
	{"push-waiting", pushWaiting},
	{"push-resume", pushResume},
	{"broadcast", broadcast},
	{"bulk-10000", bulk},
}

var everything = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

func filterTags(r *run) {
	topic := r.fresh("Tags")
	by := r.producer()
	// "Aa" and "BB" have one hash code: the broker lets both pass, the client must see the difference.
	tags := []string{"red", "green", "blue", "Aa", "BB"}
	for n := 0; n < 250; n++ {
		send(by, numbered(topic, tags[n%5], n))
	}
	send(by, numbered(topic, "", 250))
	r.awaitRoute(topic)
	wanted := []struct {
		expression string
		count      int
	}{{"*", 251}, {"red", 50}, {"red || blue", 100}, {"Aa", 50}, {"none", 0}}
	var inboxes []*inbox
	for i, one := range wanted {
		found := newInbox()
		found.open(r, fmt.Sprintf("%s_%d", r.fresh("CG"), i), topic, one.expression)
		inboxes = append(inboxes, found)
	}
	for i, found := range inboxes {
		found.await(wanted[i].count, 30*time.Second)
	}
	for i, found := range inboxes {
		found.mustHoldEachOnce(wanted[i].count)
		asked := strings.Split(wanted[i].expression, " || ")
		for _, message := range found.first {
			failIf(i > 0 && !contains(asked, message.GetTags()), "asked for %v, got %s", asked, message.GetTags())
		}
	}
}

func pushConcurrent(r *run) {
	topic := r.fresh("Concurrent")
	r.createTopic(topic, 8)
	by := r.producer()
	found := newInbox()
	largest := 0
	var mutex sync.Mutex
	reader := r.push(r.fresh("CG"), consumer.WithConsumeMessageBatchMaxSize(10))
	reader.begin(topic, "*", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mutex.Lock()
		if len(messages) > largest {
			largest = len(messages)
		}
		mutex.Unlock()
		return found.listen(ctx, messages...)
	})
	for n := 0; n < 1000; n++ {
		send(by, numbered(topic, "t", n))
	}
	found.await(1000, 30*time.Second)
	reader.end()
	found.mustHoldEachOnce(1000)
	queues := map[int]bool{}
	for _, message := range found.first {
		queues[message.Queue.QueueId] = true
	}
	mustEqual(8, len(queues), "queues used")
	mutex.Lock()
	defer mutex.Unlock()
	failIf(largest > 10, "%d messages in one call, 10 allowed", largest)
}

// pushWaiting: a parked pull must be answered when a message arrives, not when its time is up.
func pushWaiting(r *run) {
	topic := r.fresh("Waiting")
	r.createTopic(topic, 1)
	by := r.producer()
	found := newInbox()
	var mutex sync.Mutex
	var slowest int64
	reader := r.push(r.fresh("CG"))
	reader.begin(topic, "wanted", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			mutex.Lock()
			if waited := time.Now().UnixMilli() - message.BornTimestamp; waited > slowest {
				slowest = waited
			}
			mutex.Unlock()
		}
		return found.listen(ctx, messages...)
	})
	send(by, numbered(topic, "wanted", 0))
	found.await(1, 20*time.Second)
	mutex.Lock()
	slowest = 0
	mutex.Unlock()
	time.Sleep(500 * time.Millisecond)
	for n := 1; n <= 20; n++ {
		send(by, numbered(topic, "other", 1000+n))
		send(by, numbered(topic, "wanted", n))
		time.Sleep(80 * time.Millisecond)
	}
	found.await(21, 20*time.Second)
	reader.end()
	found.mustHoldEachOnce(21)
	mutex.Lock()
	defer mutex.Unlock()
	r.facts["slowestMs"] = slowest
	failIf(slowest > 1500, "a message waited %d ms for a consumer that was waiting", slowest)
}

func pushResume(r *run) {
	topic := r.fresh("Resume")
	group := r.fresh("CG")
	by := r.producer()
	for n := 0; n < 100; n++ {
		send(by, numbered(topic, "t", n))
	}
	r.awaitRoute(topic)
	before := newInbox()
	first := before.open(r, group, topic, "*")
	before.await(100, 30*time.Second)
	first.end()
	before.mustHoldEachOnce(100)
	for n := 100; n < 150; n++ {
		send(by, numbered(topic, "t", n))
	}
	after := newInbox()
	second := after.open(r, group, topic, "*")
	after.await(50, 30*time.Second)
	second.end()
	after.mustHoldEachOnce(50)
	for n := 100; n < 150; n++ {
		failIf(after.seen[n] != 1, "message %d did not come after the restart of the consumer", n)
	}
}

func broadcast(r *run) {
	topic := r.fresh("Broadcast")
	group := r.fresh("CG")
	r.createTopic(topic, 4)
	by := r.producer()
	var inboxes []*inbox
	for i := 0; i < 3; i++ {
		found := newInbox()
		reader := r.push(group, consumer.WithConsumerModel(consumer.BroadCasting))
		reader.begin(topic, "*", found.listen)
		inboxes = append(inboxes, found)
	}
	for n := 0; n < 200; n++ {
		send(by, numbered(topic, "t", n))
	}
	for _, found := range inboxes {
		found.await(200, 30*time.Second)
		found.mustHoldEachOnce(200)
	}
}

func bulk(r *run) {
	topic := r.fresh("Bulk")
	count := r.numberOr("count", 10_000)
	r.createTopic(topic, 8)
	found := newInbox()
	reader := found.open(r, r.fresh("CG"), topic, "*")
	sum := sendMany(r.producer(), topic, 0, count)
	found.await(count, 90*time.Second)
	reader.end()
	found.mustHoldEachOnce(count)
	mustEqual(sumText(sum), sumText(found.sum), "sum over all bodies")
	r.facts["sent"] = count
	r.facts["sum"] = sumText(sum)
}
