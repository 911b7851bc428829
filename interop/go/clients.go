package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var counter atomic.Int32

// instance names order as they were made: the client shares queues out in the order of the names.
func instance() string {
	return fmt.Sprintf("interop%05d", counter.Add(1))
}

func (r *run) nameServer() primitive.NamesrvAddr {
	return primitive.NamesrvAddr{r.text("ns")}
}

// producer does not retry: a send that failed once is a finding.
func (r *run) producer(options ...producer.Option) rocketmq.Producer {
	name := instance()
	common := []producer.Option{
		producer.WithNameServer(r.nameServer()),
		producer.WithGroupName(r.fresh("PG") + "_" + name),
		producer.WithInstanceName(name),
		producer.WithSendMsgTimeout(10 * time.Second),
		producer.WithRetry(0),
	}
	made, err := rocketmq.NewProducer(append(common, options...)...)
	must(err, "new producer")
	must(made.Start(), "start of the producer")
	r.closeLater(func() { _ = made.Shutdown() })
	return made
}

// member is a push consumer that knows how many queues its last rebalance gave it.
type member struct {
	rocketmq.PushConsumer
	mutex  sync.Mutex
	shares map[string]int
}

type listener = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// push is not started: the scenario subscribes first.
func (r *run) push(group string, options ...consumer.Option) *member {
	made := &member{shares: map[string]int{}}
	common := []consumer.Option{
		consumer.WithNameServer(r.nameServer()),
		consumer.WithGroupName(group),
		consumer.WithInstance(instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(4),
		consumer.WithStrategy(made.allocate),
	}
	inner, err := rocketmq.NewPushConsumer(append(common, options...)...)
	must(err, "new push consumer")
	made.PushConsumer = inner
	r.closeLater(func() { _ = inner.Shutdown() })
	return made
}

func (m *member) allocate(group, me string, queues []*primitive.MessageQueue, all []string) []*primitive.MessageQueue {
	mine := consumer.AllocateByAveragely(group, me, queues, all)
	if len(queues) > 0 {
		m.mutex.Lock()
		m.shares[queues[0].Topic] = len(mine)
		m.mutex.Unlock()
	}
	return mine
}

func (m *member) queues(topic string) int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.shares[topic]
}

func (m *member) awaitQueues(what, topic string, wanted int, limit time.Duration) {
	waitUntil(limit, func() bool { return m.queues(topic) == wanted }, func() string {
		return fmt.Sprintf("%s: has %d queues, wanted %d", what, m.queues(topic), wanted)
	})
}

func (m *member) begin(topic, tags string, listen listener) {
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: tags}
	must(m.Subscribe(topic, selector, listen), "subscribe")
	must(m.Start(), "start of the push consumer")
}

func (m *member) end() {
	must(m.Shutdown(), "shutdown of the push consumer")
}

// puller is subscribed or assigned, and started by the scenario. The client has no defaults for the limits.
func (r *run) puller(group string) rocketmq.PullConsumer {
	made, err := rocketmq.NewPullConsumer(
		consumer.WithNameServer(r.nameServer()),
		consumer.WithGroupName(group),
		consumer.WithInstance(instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithPullBatchSize(16),
	)
	must(err, "new pull consumer")
	r.closeLater(func() { _ = made.Shutdown() })
	return made
}

func (r *run) admin() admin.Admin {
	made, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver(r.nameServer())))
	must(err, "new admin")
	r.closeLater(func() { _ = made.Close() })
	return made
}

var brokers sync.Map

// broker is the address at which the broker takes commands. The client shows it nowhere but in the id of a message.
func (r *run) broker() string {
	if known, found := brokers.Load(r.text("ns")); found {
		return known.(string)
	}
	result := send(r.producer(), numbered(r.fresh("Probe"), "t", 0))
	id, err := primitive.UnmarshalMsgID([]byte(result.OffsetMsgID))
	must(err, "offsetMsgId "+result.OffsetMsgID)
	address := fmt.Sprintf("%s:%d", id.Addr, id.Port)
	brokers.Store(r.text("ns"), address)
	return address
}

// createTopic answers the queues once the name server knows them.
func (r *run) createTopic(topic string, queues int) []*primitive.MessageQueue {
	must(r.admin().CreateTopic(context.Background(),
		admin.WithTopicCreate(topic),
		admin.WithBrokerAddrCreate(r.broker()),
		admin.WithReadQueueNums(queues),
		admin.WithWriteQueueNums(queues)), "create topic")
	found := r.awaitRoute(topic)
	mustEqual(queues, len(found), "queues of the topic that was created")
	return found
}

// awaitRoute waits for what the broker tells the name server after it has answered, as Java's does.
func (r *run) awaitRoute(topic string) []*primitive.MessageQueue {
	var found []*primitive.MessageQueue
	err := errors.New("not asked")
	waitUntil(10*time.Second, func() bool {
		found, err = r.admin().FetchPublishMessageQueues(context.Background(), topic)
		return err == nil && len(found) > 0
	}, func() string { return fmt.Sprintf("topic %s has no route (%v)", topic, err) })
	return found
}
