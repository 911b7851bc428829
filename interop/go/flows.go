package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Halves of a flow, so that the runner can put another client or another server between them.
var flows = []scenario{
	{"produce", produce},
	{"consume", consume},
}

// sendMany sends the numbers `from` until `from + count`, up to 64 in flight, and answers the sum over all bodies.
func sendMany(by rocketmq.Producer, topic string, from, count int) uint64 {
	inFlight := make(chan struct{}, 64)
	enter := func() {
		select {
		case inFlight <- struct{}{}:
		case <-time.After(15 * time.Second):
			panic(failed("sends without an answer for 15 s"))
		}
	}
	var mutex sync.Mutex
	var problems []string
	var sum uint64
	for next := from; next < from+count; next++ {
		n := next
		body := randomBody(n, 1, 2000)
		sum ^= sumPart(body)
		enter()
		err := by.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			defer func() { <-inFlight }()
			if err == nil && result.Status == primitive.SendOK {
				return
			}
			mutex.Lock()
			problems = append(problems, fmt.Sprintf("%d: %v %v", n, err, result))
			mutex.Unlock()
		}, withBody(topic, "t", n, body))
		must(err, "send")
	}
	for i := 0; i < cap(inFlight); i++ {
		enter()
	}
	if len(problems) > 0 {
		panic(failed(fmt.Sprintf("%d sends failed; the first: %s", len(problems), problems[0])))
	}
	return sum
}

// produce: topic, count, from, queues (0: leave the topic to the broker)
func produce(r *run) {
	topic := r.text("topic")
	from := r.numberOr("from", 0)
	count := r.numberOr("count", 1000)
	by := r.producer()
	var sum uint64
	if queues := r.numberOr("queues", 0); queues > 0 {
		r.createTopic(topic, queues)
		sum = sendMany(by, topic, from, count)
	} else {
		// The topic's first send alone, so that it is created once.
		body := randomBody(from, 1, 2000)
		send(by, withBody(topic, "t", from, body))
		sum = sumPart(body) ^ sendMany(by, topic, from+1, count-1)
	}
	r.facts["sent"] = count
	r.facts["sum"] = sumText(sum)
}

// consume: topic, group, count, tags, timeoutMs, lingerMs, file; each number at least once; answers what else came.
func consume(r *run) {
	r.awaitRoute(r.text("topic"))
	found := newInbox()
	reader := found.open(r, r.text("group"), r.text("topic"), r.textOr("tags", "*"))
	found.await(r.numberOr("count", 0), time.Duration(r.numberOr("timeoutMs", 60_000))*time.Millisecond)
	time.Sleep(time.Duration(r.numberOr("lingerMs", 0)) * time.Millisecond)
	reader.end()
	found.mustBeWhole()
	found.mutex.Lock()
	defer found.mutex.Unlock()
	r.facts["arrived"] = found.arrived
	r.facts["distinct"] = len(found.seen)
	r.facts["duplicates"] = found.arrived - len(found.seen)
	r.facts["sum"] = sumText(found.sum)
	if file := r.textOr("file", ""); file != "" {
		var lines strings.Builder
		for n, times := range found.seen {
			fmt.Fprintf(&lines, "%d %d\n", n, times)
		}
		must(os.WriteFile(file, []byte(lines.String()), 0o644), "write "+file)
	}
}
