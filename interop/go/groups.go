package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Consumers of one group who share the work, come and go.
var groups = []scenario{
	{"cluster-share", clusterShare},
	{"cluster-rebalance", clusterRebalance},
	{"push-orderly", pushOrderly},
}

// clusterShare: two members from the start, each message goes to one of them, and both work.
func clusterShare(r *run) {
	topic := r.fresh("Share")
	group := r.fresh("CG")
	r.createTopic(topic, 4)
	by := r.producer()
	one, two := newInbox(), newInbox()
	first := one.open(r, group, topic, "*")
	second := two.open(r, group, topic, "*")
	// By notification, far below the 20 s of the client's own rebalancing.
	first.awaitQueues("the first member", topic, 2, 8*time.Second)
	second.awaitQueues("the second member", topic, 2, 8*time.Second)
	for n := 0; n < 400; n++ {
		send(by, numbered(topic, "t", n))
	}
	waitUntil(30*time.Second, func() bool { return one.distinct()+two.distinct() >= 400 }, func() string {
		return fmt.Sprintf("%d + %d of 400 arrived", one.distinct(), two.distinct())
	})
	time.Sleep(150 * time.Millisecond)
	mustEqual(200, one.distinct(), "messages of the first member")
	mustEqual(200, two.distinct(), "messages of the second member")
	for _, found := range []*inbox{one, two} {
		found.mustHoldEachOnce(200)
	}
	for n := range one.seen {
		mustEqual(0, two.seen[n], fmt.Sprintf("times that message %d came to the other member too", n))
	}
	// Leaving is told as well: the one who stays takes everything.
	second.end()
	first.awaitQueues("the member who stayed", topic, 4, 8*time.Second)
}

// flow sends one numbered message after another until it is stopped.
type flow struct {
	stop  atomic.Bool
	done  chan struct{}
	count int
	err   error
}

func startFlow(r *run, topic string) *flow {
	by := r.producer()
	f := &flow{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for ; !f.stop.Load(); f.count++ {
			result, err := by.SendSync(context.Background(), numbered(topic, "t", f.count))
			if err != nil || result.Status != primitive.SendOK {
				f.err = fmt.Errorf("message %d: %v %v", f.count, err, result)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return f
}

func (f *flow) end() int {
	f.stop.Store(true)
	<-f.done
	must(f.err, "send")
	return f.count
}

// clusterRebalance: members join and leave while messages flow; nothing may be lost, what comes twice is counted.
func clusterRebalance(r *run) {
	topic := r.fresh("Rebalance")
	group := r.fresh("CG")
	r.createTopic(topic, 8)
	found := newInbox()
	var shares [3]atomic.Int32
	var members [3]*member
	join := func(i int) {
		members[i] = r.push(group)
		members[i].begin(topic, "*", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			shares[i].Add(int32(len(messages)))
			return found.listen(ctx, messages...)
		})
	}
	const limit = 10 * time.Second
	const while = 500 * time.Millisecond
	join(0)
	sender := startFlow(r, topic)
	members[0].awaitQueues("alone", topic, 8, limit)
	time.Sleep(while)
	join(1)
	members[0].awaitQueues("first of two", topic, 4, limit)
	members[1].awaitQueues("second of two", topic, 4, limit)
	time.Sleep(while)
	join(2)
	members[0].awaitQueues("first of three", topic, 3, limit)
	members[1].awaitQueues("second of three", topic, 3, limit)
	members[2].awaitQueues("third of three", topic, 2, limit)
	time.Sleep(while)
	members[0].end()
	members[1].awaitQueues("second, first left", topic, 4, limit)
	members[2].awaitQueues("third, first left", topic, 4, limit)
	time.Sleep(while)
	members[1].end()
	members[2].awaitQueues("the last", topic, 8, limit)
	time.Sleep(while)
	sent := sender.end()
	found.await(sent, 60*time.Second)
	members[2].end()
	found.mustBeWhole()
	distinct, duplicates := found.counts()
	mustEqual(sent, distinct, "messages")
	counts := []int32{shares[0].Load(), shares[1].Load(), shares[2].Load()}
	r.facts["sent"] = sent
	r.facts["duplicates"] = duplicates
	r.facts["shares"] = counts
	for i, count := range counts {
		failIf(count == 0, "member %d got nothing", i)
	}
}

// order watches the members of one group: a key's messages must come in order, a queue's one at a time.
type order struct {
	found *inbox
	keys  int

	mutex    sync.Mutex
	busy     map[int]bool
	highest  map[int]int
	disorder []string
	queues   [2]map[int]int
}

func (o *order) enter(who, queue int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.busy[queue] {
		o.disorder = append(o.disorder, fmt.Sprintf("queue %d is consumed twice at a time", queue))
	}
	o.busy[queue] = true
	o.queues[who][queue]++
}

func (o *order) take(message *primitive.MessageExt) {
	n, isNew := o.found.add(message)
	o.mutex.Lock()
	defer o.mutex.Unlock()
	// A member that leaves may have consumed what it could not commit: again is allowed, ahead is not.
	key := n % o.keys
	before, known := o.highest[key]
	if !known {
		before = key - o.keys
	}
	if isNew && n != before+o.keys {
		o.disorder = append(o.disorder, fmt.Sprintf("key %d: %d came after %d", key, n, before))
	}
	if isNew {
		o.highest[key] = n
	}
}

func (o *order) leave(queue int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.busy[queue] = false
}

func (o *order) listenAs(who int) listener {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		queue := messages[0].Queue.QueueId
		o.enter(who, queue)
		for _, message := range messages {
			o.take(message)
		}
		o.leave(queue)
		return consumer.ConsumeSuccess, nil
	}
}

// served counts the queues of which a member has consumed something.
func (o *order) served(who int) int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return len(o.queues[who])
}

func (o *order) mustHold() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	failIf(len(o.disorder) > 0, "%d times out of order: %v", len(o.disorder), o.disorder)
}

// pushOrderly: order per key while a second member takes over half of the queues, and then the first one leaves.
func pushOrderly(r *run) {
	topic := r.fresh("Orderly")
	group := r.fresh("CG")
	queues := r.createTopic(topic, 4)
	watch := &order{found: newInbox(), keys: 10, busy: map[int]bool{}, highest: map[int]int{}}
	var members [2]*member
	join := func(i int) {
		watch.queues[i] = map[int]int{}
		members[i] = r.push(group, consumer.WithConsumerOrder(true))
		members[i].begin(topic, "*", watch.listenAs(i))
	}
	by := manualProducer(r)
	next := 0
	sendUntil := func(end int) {
		for ; next < end; next++ {
			message := numbered(topic, "t", next)
			message.Queue = queues[next%watch.keys%4]
			send(by, message)
		}
	}
	join(0)
	members[0].awaitQueues("the only member", topic, 4, 10*time.Second)
	sendUntil(200)
	watch.found.await(200, 30*time.Second)
	mustEqual(4, watch.served(0), "queues of the only member")

	joined := time.Now()
	join(1)
	sendUntil(300)
	members[0].awaitQueues("the old member", topic, 2, 10*time.Second)
	members[1].awaitQueues("the new member", topic, 2, 10*time.Second)
	r.facts["yieldedMs"] = time.Since(joined).Milliseconds()
	sendUntil(500)
	// This client lets go of a queue without unlocking it. The broker's lock ends after 60 s, and the next
	// rebalance of the new member, one in 20 s, takes the queue.
	waitUntil(110*time.Second, func() bool { return watch.served(1) == 2 }, func() string {
		return fmt.Sprintf("the new member works on %d queues, wanted 2", watch.served(1))
	})
	tookOver := time.Since(joined)
	r.facts["tookOverMs"] = tookOver.Milliseconds()
	// The old member asked for its locks less than 20 s before it let go.
	failIf(tookOver < 35*time.Second, "the new member took locked queues over after %v", tookOver)
	watch.found.await(500, 30*time.Second)

	// A member that shuts down unlocks what it has.
	left := time.Now()
	members[0].end()
	sendUntil(600)
	members[1].awaitQueues("the one who stayed", topic, 4, 10*time.Second)
	watch.found.await(600, 30*time.Second)
	r.facts["inheritedMs"] = time.Since(left).Milliseconds()
	mustEqual(4, watch.served(1), "queues of the one who stayed")
	members[1].end()
	watch.mustHold()
	watch.found.mustBeWhole()
	distinct, duplicates := watch.found.counts()
	mustEqual(600, distinct, "messages")
	r.facts["duplicates"] = duplicates
}
