import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.SetArgs;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Lettuce, which Spring uses: types, a transaction, a script, publish and subscribe, a walk; then its cluster client. */
class ThroughLettuce {
    static final int KEYS = 50;

    static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    public static void main(String[] arguments) throws Exception {
        var uri = RedisURI.create(System.getenv("RESPCACHE_URL"));
        var client = RedisClient.create(uri);
        try (var connection = client.connect()) {
            var commands = connection.sync();
            commands.flushall();
            types(commands);
            together(commands);
            var listening = client.connectPubSub();
            var news = new CompletableFuture<String>();
            listening.addListener(new RedisPubSubAdapter<>() {
                @Override
                public void message(String channel, String message) {
                    news.complete(message);
                }
            });
            listening.sync().subscribe("news");
            same(commands.publish("news", "text"), 1L);
            same(news.get(60, TimeUnit.SECONDS), "text");
            listening.close();
        }
        client.shutdown();
        var cluster = RedisClusterClient.create(uri);
        try (var connection = cluster.connect()) {
            for (int number = 0; number < KEYS; number++) {
                same(connection.sync().incr("k" + number), number + 1L);
            }
            same(connection.sync().mget("k0", "k1", "k2").size(), 3);
            same(connection.getPartitions().size(), 3);
        }
        cluster.shutdown();
    }

    static void types(RedisCommands<String, String> commands) {
        same(commands.set("key", "value", SetArgs.Builder.ex(60)), "OK");
        same(commands.get("key"), "value");
        same(commands.get("absent"), null);
        same(commands.hset("hash", Map.of("a", "1", "b", "2")), 2L);
        same(commands.hgetall("hash"), Map.of("a", "1", "b", "2"));
        same(commands.zadd("scores", 1.5, "x"), 1L);
        same(commands.zscore("scores", "x"), 1.5);
        same(commands.rpush("queue", "job"), 1L);
        same(commands.blpop(1, "queue"), KeyValue.just("queue", "job"));
    }

    static void together(RedisCommands<String, String> commands) {
        for (int number = 0; number < KEYS; number++) {
            commands.set("k" + number, Integer.toString(number));
        }
        commands.multi();
        commands.incr("one");
        commands.incr("two");
        same(commands.exec().stream().toList(), List.of(1L, 1L));
        same(commands.eval("return redis.call('incr', KEYS[1])", ScriptOutputType.INTEGER, "one"), 2L);
        var found = 0;
        var walk = ScanIterator.scan(commands, ScanArgs.Builder.matches("k[0-9]*"));
        for (; walk.hasNext(); walk.next()) {
            found++;
        }
        same(found, KEYS);
    }
}
