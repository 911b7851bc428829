package main

import (
	"fmt"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// What a message consists of, and that it comes out as it went in.
var bodies = []scenario{
	{"send-compressed", sendCompressed},
	{"send-properties", sendProperties},
}

func sendCompressed(r *run) {
	topic := r.fresh("Compressed")
	by := r.producer()
	sizes := []int{4095, 4096, 4097, 20_000, 200_000, 3_000_000}
	for n, size := range sizes {
		var text strings.Builder
		for text.Len() < size {
			fmt.Fprintf(&text, "line %d of a long body that repeats\n", text.Len())
		}
		send(by, withBody(topic, "t", n, []byte(text.String()[:size])))
	}
	random := len(sizes)
	send(by, withBody(topic, "t", random, randomBody(random, 1_000_000, 1_000_000)))
	found := r.collect(topic, random+1)
	shrunk := 0
	for n, size := range sizes {
		stored := found.first[n]
		mustEqual(size, len(stored.Body), "size of the body")
		isCompressed := stored.SysFlag&primitive.FlagCompressed != 0
		mustEqual(size >= 4096, isCompressed, fmt.Sprintf("a body of %d bytes is flagged as compressed", size))
		if int(stored.StoreSize) < size {
			shrunk++
		}
	}
	mustEqual(len(sizes)-1, shrunk, "bodies that were stored compressed")
	r.facts["sent"] = random + 1
	r.facts["compressed"] = shrunk
}

func sendProperties(r *run) {
	topic := r.fresh("Props")
	by := r.producer()
	message := withBody(topic, "标签", 0, []byte{0, 1, 2, 255, 128})
	message.WithKeys([]string{"k1", "k2", "键"})
	message.Flag = 0x7abcdef1
	message.WithShardingKey("shard")
	message.WithProperty("blanks", " a  b ")
	message.WithProperty("unicode", "Grüße 你好 🚀")
	message.WithProperty("separators", `a=b;c,d:e|"'{}`)
	message.WithProperty("long", strings.Repeat("0123456789", 2_000))
	send(by, message)
	stored := r.collect(topic, 1).first[0]
	sent := message.GetProperties()
	for key, value := range sent {
		mustEqual(value, stored.GetProperty(key), "property "+key)
	}
	mustEqual(int32(0x7abcdef1), stored.Flag, "flag")
	mustEqual("标签", stored.GetTags(), "tag")
	mustEqual("k1 k2 键", stored.GetKeys(), "keys")
	added := map[string]bool{}
	for key := range stored.GetProperties() {
		if _, given := sent[key]; !given {
			added[key] = true
		}
	}
	r.facts["added"] = sortedKeys(added)
}
