import java.net.URI;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.StreamEntryID;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.params.SetParams;

/** Jedis: types, a pipeline, a transaction, a script, publish and subscribe, a list that is waited for, a walk; then its cluster client. */
class ThroughJedis {
    static final int KEYS = 50;

    static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var url = URI.create(System.getenv("RESPCACHE_URL"));
        try (var client = new JedisPooled(url)) {
            client.flushAll();
            types(client);
            together(url, client);
            waiting(client);
            heard(client);
            walked(client);
        }
        try (var cluster = new JedisCluster(Set.of(new HostAndPort(url.getHost(), url.getPort())))) {
            for (int number = 0; number < KEYS; number++) {
                same(cluster.incr("k" + number), number + 1L);
            }
            same(cluster.getClusterNodes().size(), 3);
        }
    }

    static void types(JedisPooled client) {
        same(client.set("key", "value", SetParams.setParams().ex(60)), "OK");
        same(client.get("key"), "value");
        same(client.set("key", "other", SetParams.setParams().nx()), null);
        same(client.hset("hash", Map.of("a", "1", "b", "2")), 2L);
        same(client.hgetAll("hash"), Map.of("a", "1", "b", "2"));
        same(client.zadd("scores", Map.of("x", 1.5, "y", 2.0)), 2L);
        same(client.zrange("scores", 0, -1), List.of("x", "y"));
        same(client.zscore("scores", "x"), 1.5);
        same(client.sadd("set", "a", "b"), 2L);
        same(client.smembers("set"), Set.of("a", "b"));
        same(client.xadd("stream", new StreamEntryID(1, 1), Map.of("field", "value")), new StreamEntryID(1, 1));
        same(client.xrange("stream", "-", "+").get(0).getFields(), Map.of("field", "value"));
    }

    static void together(URI url, JedisPooled client) {
        try (var pipeline = client.pipelined()) {
            for (int number = 0; number < KEYS; number++) {
                pipeline.set("k" + number, Integer.toString(number));
            }
        }
        same(client.mget("k1", "k2"), List.of("1", "2"));
        try (var transaction = client.multi()) {
            transaction.incr("one");
            transaction.incr("two");
            same(transaction.exec(), List.of(1L, 1L));
        }
        try (var watching = new Jedis(url)) {
            watching.watch("one");
            client.incr("one");
            var transaction = watching.multi();
            transaction.incr("two");
            same(transaction.exec(), null);
        }
        same(client.eval("return redis.call('incrby', KEYS[1], ARGV[1])", 1, "one", "5"), 7L);
    }

    static void waiting(JedisPooled client) throws Exception {
        var taken = CompletableFuture.supplyAsync(() -> client.blpop(60, "queue"));
        same(client.rpush("queue", "job"), 1L);
        same(taken.get(60, TimeUnit.SECONDS), List.of("queue", "job"));
    }

    static void heard(JedisPooled client) throws Exception {
        var subscribed = new CompletableFuture<Void>();
        var news = new CompletableFuture<String>();
        var listener = new JedisPubSub() {
            @Override
            public void onSubscribe(String channel, int count) {
                subscribed.complete(null);
            }

            @Override
            public void onMessage(String channel, String message) {
                news.complete(message);
                unsubscribe();
            }
        };
        var listening = CompletableFuture.runAsync(() -> client.subscribe(listener, "news"));
        subscribed.get(60, TimeUnit.SECONDS);
        same(client.publish("news", "text"), 1L);
        same(news.get(60, TimeUnit.SECONDS), "text");
        listening.get(60, TimeUnit.SECONDS);
    }

    static void walked(JedisPooled client) {
        var found = new HashSet<String>();
        var cursor = ScanParams.SCAN_POINTER_START;
        do {
            var step = client.scan(cursor, new ScanParams().match("k[0-9]*"));
            found.addAll(step.getResult());
            cursor = step.getCursor();
        } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
        same(found.size(), KEYS);
    }
}
