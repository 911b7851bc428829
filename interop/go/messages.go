package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand"
	"strconv"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Messages carry their own proof: property `n` numbers them, property `sha` is the SHA-256 of the body.
const (
	numberProperty = "n"
	shaProperty    = "sha"
)

func withBody(topic, tag string, n int, body []byte) *primitive.Message {
	sha := sha256.Sum256(body)
	message := primitive.NewMessage(topic, body)
	message.WithTag(tag)
	message.WithKeys([]string{"key" + strconv.Itoa(n)})
	message.WithProperty(numberProperty, strconv.Itoa(n))
	message.WithProperty(shaProperty, hex.EncodeToString(sha[:]))
	return message
}

func numbered(topic, tag string, n int) *primitive.Message {
	return withBody(topic, tag, n, []byte(fmt.Sprintf("message %d of %s 你好", n, topic)))
}

// randomBody is incompressible and of changing size, the same for the same number.
func randomBody(n, minimum, maximum int) []byte {
	random := rand.New(rand.NewSource(int64(n)*7919 + 17))
	body := make([]byte, minimum+random.Intn(maximum-minimum+1))
	random.Read(body)
	return body
}

// sumPart is one body's part of the sum: sums of many bodies are the exclusive or of all parts, in any order.
func sumPart(body []byte) uint64 {
	sha := sha256.Sum256(body)
	return binary.BigEndian.Uint64(sha[:8])
}

func sumText(sum uint64) string {
	return fmt.Sprintf("%016x", sum)
}

// inbox is what arrived: how often each number, whether each body is what was sent, and a sum over all bodies.
type inbox struct {
	mutex       sync.Mutex
	seen        map[int]int
	first       map[int]*primitive.MessageExt
	arrived     int
	corrupt     int
	lastCorrupt string
	sum         uint64
}

func newInbox() *inbox {
	return &inbox{seen: map[int]int{}, first: map[int]*primitive.MessageExt{}}
}

// add answers the number, and whether it came for the first time.
func (i *inbox) add(message *primitive.MessageExt) (int, bool) {
	sha := sha256.Sum256(message.Body)
	n, err := strconv.Atoi(message.GetProperty(numberProperty))
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if err != nil || hex.EncodeToString(sha[:]) != message.GetProperty(shaProperty) {
		i.corrupt++
		i.lastCorrupt = fmt.Sprintf("number %q, body of %d bytes, msgId %s",
			message.GetProperty(numberProperty), len(message.Body), message.MsgId)
	}
	i.arrived++
	i.seen[n]++
	if i.seen[n] > 1 {
		return n, false
	}
	i.first[n] = message
	i.sum ^= sumPart(message.Body)
	return n, true
}

func (i *inbox) counts() (distinct, duplicates int) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return len(i.seen), i.arrived - len(i.seen)
}

func (i *inbox) distinct() int {
	distinct, _ := i.counts()
	return distinct
}

// await waits until `wanted` numbers came, then a little longer for what should not come.
func (i *inbox) await(wanted int, limit time.Duration) {
	waitUntil(limit, func() bool { return i.distinct() >= wanted }, func() string {
		distinct, duplicates := i.counts()
		return fmt.Sprintf("%d of %d messages arrived (%d more than once; missing begin with %v)",
			distinct, wanted, duplicates, i.missing(wanted))
	})
	time.Sleep(150 * time.Millisecond)
}

func (i *inbox) missing(wanted int) []int {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	var found []int
	for n := 0; n < wanted && len(found) < 8; n++ {
		if i.seen[n] == 0 {
			found = append(found, n)
		}
	}
	return found
}

func (i *inbox) mustBeWhole() {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	failIf(i.corrupt > 0, "%d bodies differ from what was sent; the last: %s", i.corrupt, i.lastCorrupt)
}

// mustHoldEachOnce wants exactly `wanted` numbers, each once, each whole.
func (i *inbox) mustHoldEachOnce(wanted int) {
	i.mustBeWhole()
	distinct, duplicates := i.counts()
	mustEqual(wanted, distinct, "distinct messages")
	mustEqual(0, duplicates, "messages that came more than once")
}

func (i *inbox) listen(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	for _, message := range messages {
		i.add(message)
	}
	return consumer.ConsumeSuccess, nil
}

// open starts a push consumer that fills this inbox.
func (i *inbox) open(r *run, group, topic, tags string) *member {
	made := r.push(group)
	made.begin(topic, tags, i.listen)
	return made
}

// collect reads a whole topic and wants the numbers 0 until `wanted`, each once.
func (r *run) collect(topic string, wanted int) *inbox {
	r.awaitRoute(topic)
	found := newInbox()
	reader := found.open(r, r.fresh("CG"), topic, "*")
	found.await(wanted, 30*time.Second)
	reader.end()
	found.mustHoldEachOnce(wanted)
	mustEqual(0, len(found.missing(wanted)), "numbers that are missing")
	return found
}
