// go-redis: types, a pipeline, a transaction, a watch, a script, publish and subscribe, a list that is waited for, a walk;
// then its cluster client.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
)

const keys = 50

var ctx = context.Background()

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func same[T any](found T, err error) func(T) {
	check(err)
	return func(expected T) {
		if !reflect.DeepEqual(found, expected) {
			log.Panicf("found %v, expected %v", found, expected)
		}
	}
}

func main() {
	options, err := redis.ParseURL(os.Getenv("RESPCACHE_URL"))
	check(err)
	client := redis.NewClient(options)
	check(client.FlushAll(ctx).Err())
	types(client)
	together(client)
	waiting(client)
	heard(client)
	same(int64(walked(client)), nil)(keys)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{options.Addr}})
	inCluster(cluster)
	check(cluster.Close())
	check(client.Close())
}

func types(client *redis.Client) {
	same(client.Set(ctx, "key", "value", time.Minute).Result())("OK")
	same(client.Get(ctx, "key").Result())("value")
	same(client.SetNX(ctx, "key", "other", 0).Result())(false)
	if err := client.Get(ctx, "absent").Err(); !errors.Is(err, redis.Nil) {
		log.Panic(err)
	}
	same(client.HSet(ctx, "hash", "a", 1, "b", 2).Result())(2)
	same(client.HGetAll(ctx, "hash").Result())(map[string]string{"a": "1", "b": "2"})
	same(client.ZAdd(ctx, "scores", redis.Z{Score: 1.5, Member: "x"}, redis.Z{Score: 2, Member: "y"}).Result())(2)
	same(client.ZRangeWithScores(ctx, "scores", 0, -1).Result())([]redis.Z{{Score: 1.5, Member: "x"}, {Score: 2, Member: "y"}})
	same(client.SAdd(ctx, "set", "a", "b").Result())(2)
	same(client.SInter(ctx, "set", "set").Result())([]string{"a", "b"})
	_, err := client.XAdd(ctx, &redis.XAddArgs{Stream: "stream", ID: "1-1", Values: []string{"field", "value"}}).Result()
	check(err)
	check(client.XGroupCreate(ctx, "stream", "group", "0").Err())
	read, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: "me", Streams: []string{"stream", ">"}}).Result()
	check(err)
	same(read[0].Messages[0].Values["field"], nil)("value")
}

func together(client *redis.Client) {
	_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for number := range keys {
			pipe.Set(ctx, fmt.Sprintf("k%d", number), number, 0)
		}
		return nil
	})
	check(err)
	same(client.MGet(ctx, "k1", "k2", "absent").Result())([]any{"1", "2", nil})
	replies, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "one")
		pipe.Incr(ctx, "two")
		return nil
	})
	check(err)
	same(len(replies), nil)(2)
	err = client.Watch(ctx, func(watching *redis.Tx) error {
		check(client.Incr(ctx, "one").Err())
		_, failure := watching.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Incr(ctx, "two")
			return nil
		})
		return failure
	}, "one")
	if !errors.Is(err, redis.TxFailedErr) {
		log.Panic(err)
	}
	script := redis.NewScript("return redis.call('incrby', KEYS[1], ARGV[1])")
	same(script.Run(ctx, client, []string{"one"}, 5).Int64())(7)
}

func waiting(client *redis.Client) {
	taken := make(chan []string, 1)
	go func() {
		found, err := client.BLPop(ctx, time.Minute, "queue").Result()
		check(err)
		taken <- found
	}()
	same(client.RPush(ctx, "queue", "job").Result())(1)
	same(<-taken, nil)([]string{"queue", "job"})
}

func heard(client *redis.Client) {
	listener := client.Subscribe(ctx, "news")
	_, err := listener.Receive(ctx)
	check(err)
	same(client.Publish(ctx, "news", "text").Result())(1)
	message, err := listener.ReceiveMessage(ctx)
	check(err)
	same(message.Payload, nil)("text")
	check(listener.Close())
}

func walked(client *redis.Client) int {
	found := map[string]bool{}
	walk := client.Scan(ctx, 0, "k[0-9]*", 10).Iterator()
	for walk.Next(ctx) {
		found[walk.Val()] = true
	}
	check(walk.Err())
	return len(found)
}

func inCluster(cluster *redis.ClusterClient) {
	for number := range keys {
		same(cluster.Incr(ctx, fmt.Sprintf("k%d", number)).Result())(int64(number + 1))
	}
	_, err := cluster.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for number := range keys {
			pipe.Del(ctx, fmt.Sprintf("k%d", number))
		}
		return nil
	})
	check(err)
	nodes := make(chan string, 9)
	check(cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		nodes <- node.Options().Addr
		return nil
	}))
	same(len(nodes), nil)(3)
	check(cluster.SSubscribe(ctx, "shard").Close())
}
