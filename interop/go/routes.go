package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	rocketerrors "github.com/apache/rocketmq-client-go/v2/errors"
)

// Topics and groups as name server and broker show them.
var routes = []scenario{{"routes", showRoutes}}

func showRoutes(r *run) {
	ctx := context.Background()
	by := r.producer()
	created := r.fresh("Created")
	r.createTopic(created, 6)
	send(by, numbered(created, "t", 0))

	automatic := r.fresh("Auto")
	mustBeUnknown(r, automatic)
	absent := r.push(r.fresh("CG_absent"))
	must(absent.Subscribe(automatic, everything, newInbox().listen), "subscribe")
	mustRefuse(absent.Start(), "route info not found", "a consumer of a topic that does not exist")

	first := send(by, numbered(automatic, "t", 0))
	mustEqual(0, first.QueueOffset, "first queue offset")
	queues := r.awaitRoute(automatic)
	mustEqual(4, len(queues), "queues of an automatically created topic")
	for _, queue := range queues {
		failIf(queue.BrokerName == "" || queue.QueueId < 0 || queue.QueueId > 3, "odd queue %v", queue)
	}
	r.facts["broker"] = queues[0].BrokerName

	clusters, err := r.admin().FetchClusterList(automatic)
	must(err, "clusters")
	mustEqual("DefaultCluster", strings.Join(clusters, " "), "clusters")
	topics, err := r.admin().FetchAllTopicList(ctx)
	must(err, "topics")
	for _, topic := range []string{created, automatic, "TBW102"} {
		failIf(!contains(topics.TopicList, topic), "%s is not in the list of topics", topic)
	}

	group := r.fresh("CG")
	found := newInbox()
	reader := found.open(r, group, automatic, "*")
	found.await(1, 30*time.Second)
	reader.end()
	known, err := r.admin().GetAllSubscriptionGroup(ctx, r.broker(), 5*time.Second)
	must(err, "groups")
	_, isKnown := known.SubscriptionGroupTable[group]
	failIf(!isKnown, "the group that consumed is not in the table of groups")

	must(r.admin().DeleteTopic(ctx, admin.WithTopicDelete(created), admin.WithBrokerAddrDelete(r.broker())), "delete")
	mustBeUnknown(r, created)
}

func mustBeUnknown(r *run, topic string) {
	_, err := r.admin().FetchPublishMessageQueues(context.Background(), topic)
	failIf(!errors.Is(err, rocketerrors.ErrTopicNotExist), "route of %s, which is not there: %v", topic, err)
}
