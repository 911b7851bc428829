package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// The ways to send; each ends with a consumer that checks what was stored against what the broker answered.
var sends = []scenario{
	{"send-sync", sendSync},
	{"send-async", sendAsync},
	{"send-oneway", sendOneWay},
	{"send-batch", sendBatch},
	{"send-queue", sendToQueue},
}

// 16 bytes, the client's part in capitals and the rest not, or 28 bytes with an IPv6 address.
var messageID = regexp.MustCompile(`^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{56})$`)

func mustBeOk(result *primitive.SendResult) {
	mustEqual(primitive.SendOK, result.Status, "send status")
	failIf(!messageID.MatchString(result.MsgID), "msgId `%s`", result.MsgID)
	failIf(!messageID.MatchString(result.OffsetMsgID), "offsetMsgId `%s`", result.OffsetMsgID)
}

func send(by rocketmq.Producer, message *primitive.Message) *primitive.SendResult {
	result, err := by.SendSync(context.Background(), message)
	must(err, "send")
	mustBeOk(result)
	return result
}

// mustMatch wants the message where the broker's answer says it is.
func mustMatch(sent *primitive.SendResult, stored *primitive.MessageExt) {
	mustEqual(sent.MsgID, stored.MsgId, "msgId")
	mustEqual(sent.OffsetMsgID, stored.OffsetMsgId, "offsetMsgId")
	mustEqual(sent.QueueOffset, stored.QueueOffset, "queue offset")
	mustEqual(*sent.MessageQueue, *stored.Queue, "queue")
}

func sendSync(r *run) {
	topic := r.fresh("Sync")
	by := r.producer()
	sent := map[int]*primitive.SendResult{}
	before := time.Now().UnixMilli()
	for n := 0; n < 40; n++ {
		sent[n] = send(by, numbered(topic, fmt.Sprintf("tag%d", n%3), n))
	}
	found := r.collect(topic, 40)
	after := time.Now().UnixMilli()
	for n := 0; n < 40; n++ {
		stored := found.first[n]
		mustMatch(sent[n], stored)
		mustEqual(fmt.Sprintf("key%d", n), stored.GetKeys(), "keys")
		mustEqual(fmt.Sprintf("tag%d", n%3), stored.GetTags(), "tag")
		mustEqual(topic, stored.Topic, "topic")
		failIf(stored.BornTimestamp < before || stored.BornTimestamp > after, "born time %d", stored.BornTimestamp)
		failIf(stored.StoreTimestamp < before || stored.StoreTimestamp > after, "store time %d", stored.StoreTimestamp)
		failIf(!strings.HasPrefix(stored.BornHost, "127.0.0.1:"), "born host %s", stored.BornHost)
		mustEqual(r.broker(), stored.StoreHost, "store host")
		failIf(stored.CommitLogOffset < 0, "position %d", stored.CommitLogOffset)
		mustEqual(int32(crc32.ChecksumIEEE(stored.Body)&0x7fffffff), stored.BodyCRC, "CRC of the body")
		mustEqual(int32(0), stored.ReconsumeTimes, "reconsume times")
	}
	r.facts["sent"] = 40
}

func sendAsync(r *run) {
	topic := r.fresh("Async")
	by := r.producer()
	const count = 500
	sent := map[int]*primitive.SendResult{0: send(by, numbered(topic, "t", 0))}
	var mutex sync.Mutex
	var errors []error
	answered := 1
	answer := func(n int, result *primitive.SendResult, err error) {
		mutex.Lock()
		defer mutex.Unlock()
		answered++
		if err != nil {
			errors = append(errors, err)
		} else {
			sent[n] = result
		}
	}
	for next := 1; next < count; next++ {
		n := next
		err := by.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			answer(n, result, err)
		}, numbered(topic, "t", n))
		must(err, "send")
	}
	answers := func() int {
		mutex.Lock()
		defer mutex.Unlock()
		return answered
	}
	waitUntil(30*time.Second, func() bool { return answers() >= count }, func() string {
		return fmt.Sprintf("%d of %d sends have an answer", answers(), count)
	})
	failIf(len(errors) > 0, "%d failed: %v", len(errors), errors)
	mustEqual(count, len(sent), "sends with a result")
	found := r.collect(topic, count)
	mustEqual(count, answers(), "answers")
	for n, result := range sent {
		mustBeOk(result)
		mustMatch(result, found.first[n])
	}
	r.facts["sent"] = count
}

func sendOneWay(r *run) {
	topic := r.fresh("OneWay")
	by := r.producer()
	for n := 0; n < 200; n++ {
		must(by.SendOneWay(context.Background(), numbered(topic, "t", n)), "send")
	}
	r.collect(topic, 200)
	r.facts["sent"] = 200
}

func sendBatch(r *run) {
	topic := r.fresh("Batch")
	by := r.producer()
	type batch struct {
		first, size int
		result      *primitive.SendResult
	}
	var batches []batch
	count := 0
	for _, size := range []int{1, 2, 32, 100} {
		var messages []*primitive.Message
		for n := count; n < count+size; n++ {
			messages = append(messages, numbered(topic, fmt.Sprintf("tag%d", n%2), n))
		}
		result, err := by.SendSync(context.Background(), messages...)
		must(err, "send of a batch")
		mustEqual(primitive.SendOK, result.Status, "send status")
		mustEqual(size, len(strings.Split(result.OffsetMsgID, ",")), "offset message ids of a batch")
		batches = append(batches, batch{count, size, result})
		count += size
	}
	found := r.collect(topic, count)
	for _, one := range batches {
		ids := strings.Split(one.result.OffsetMsgID, ",")
		for i := 0; i < one.size; i++ {
			n := one.first + i
			stored := found.first[n]
			mustEqual(ids[i], stored.OffsetMsgId, "offsetMsgId in a batch")
			// The client gives ids of its own to single messages alone.
			if one.size > 1 {
				mustEqual(ids[i], stored.MsgId, "msgId in a batch")
			} else {
				mustEqual(one.result.MsgID, stored.MsgId, "msgId")
			}
			mustEqual(one.result.QueueOffset+int64(i), stored.QueueOffset, "queue offset in a batch")
			mustEqual(*one.result.MessageQueue, *stored.Queue, "queue of a batch")
			mustEqual(fmt.Sprintf("tag%d", n%2), stored.GetTags(), "tag in a batch")
			mustEqual(fmt.Sprintf("key%d", n), stored.GetKeys(), "keys in a batch")
		}
	}
	r.facts["sent"] = count
}

// sendToQueue names the queue itself for one half, and lets a key choose it for the other.
func sendToQueue(r *run) {
	topic := r.fresh("Queue")
	queues := r.createTopic(topic, 3)
	manual := r.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	hashed := r.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	next := map[int]int64{}
	keyed := map[string]int{}
	wanted := map[int]int{}
	for n := 0; n < 60; n++ {
		message := numbered(topic, "t", n)
		var result *primitive.SendResult
		if n%2 == 0 {
			message.Queue = queues[n%3]
			result = send(manual, message)
			mustEqual(*queues[n%3], *result.MessageQueue, "queue answered")
		} else {
			key := fmt.Sprintf("key%d", n%5)
			message.WithShardingKey(key)
			result = send(hashed, message)
			before, known := keyed[key]
			failIf(known && before != result.MessageQueue.QueueId, "%s went to another queue than before", key)
			keyed[key] = result.MessageQueue.QueueId
		}
		queue := result.MessageQueue.QueueId
		mustEqual(next[queue], result.QueueOffset, "queue offset answered")
		next[queue]++
		wanted[n] = queue
	}
	mustEqual(3, len(next), "queues used")
	found := r.collect(topic, 60)
	for n, queue := range wanted {
		mustEqual(queue, found.first[n].Queue.QueueId, "queue stored")
	}
	r.facts["sent"] = 60
}
