//! redis-rs: types, a pipeline, a transaction, a script, publish and subscribe, a walk; then its cluster client.

use std::collections::{HashMap, HashSet};
use std::env;

use redis::cluster::ClusterClient;
use redis::{Client, Commands, Connection, RedisResult, Script};

const KEYS: i64 = 50;

fn main() -> RedisResult<()> {
    let url = env::var("RESPCACHE_URL").expect("RESPCACHE_URL leads to a node");
    let client = Client::open(url.as_str())?;
    let mut connection = client.get_connection()?;
    redis::cmd("FLUSHALL").exec(&mut connection)?;
    types(&mut connection)?;
    together(&mut connection)?;
    heard(&client, &mut connection)?;

    let found: HashSet<String> = connection.scan_match("k[0-9]*")?.collect::<RedisResult<_>>()?;
    assert_eq!(found.len(), KEYS as usize);

    let mut cluster = ClusterClient::new(vec![url])?.get_connection()?;
    for number in 0..KEYS {
        assert_eq!(cluster.incr::<_, _, i64>(format!("k{number}"), 1)?, number + 1);
    }
    assert_eq!(cluster.mget::<_, Vec<i64>>(&["k0", "k1", "k2"])?, [1, 2, 3]);
    Ok(())
}

fn types(connection: &mut Connection) -> RedisResult<()> {
    connection.set_ex::<_, _, ()>("key", "value", 60)?;
    assert_eq!(connection.get::<_, String>("key")?, "value");
    assert_eq!(connection.get::<_, Option<String>>("absent")?, None);
    assert!(!connection.set_nx::<_, _, bool>("key", "other")?);
    connection.hset_multiple::<_, _, _, ()>("hash", &[("a", 1), ("b", 2)])?;
    let hash: HashMap<String, i64> = connection.hgetall("hash")?;
    assert_eq!(hash, HashMap::from([("a".to_string(), 1), ("b".to_string(), 2)]));
    connection.zadd_multiple::<_, _, _, ()>("scores", &[(1.5, "x"), (2.0, "y")])?;
    let scores: Vec<(String, f64)> = connection.zrange_withscores("scores", 0, -1)?;
    assert_eq!(scores, [("x".to_string(), 1.5), ("y".to_string(), 2.0)]);
    connection.rpush::<_, _, ()>("queue", "job")?;
    let taken: (String, String) = connection.blpop("queue", 1.0)?;
    assert_eq!(taken, ("queue".to_string(), "job".to_string()));
    Ok(())
}

fn together(connection: &mut Connection) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for number in 0..KEYS {
        pipeline.set(format!("k{number}"), number).ignore();
    }
    pipeline.exec(connection)?;
    let counted: (i64, i64) = redis::pipe().atomic().incr("one", 1).incr("two", 1).query(connection)?;
    assert_eq!(counted, (1, 1));
    let counted: (i64,) = redis::transaction(connection, &["one"], |connection, pipeline| {
        pipeline.incr("one", 1).query(connection)
    })?;
    assert_eq!(counted, (2,));
    let script = Script::new("return redis.call('incrby', KEYS[1], ARGV[1])");
    assert_eq!(script.key("one").arg(5).invoke::<i64>(connection)?, 7);
    Ok(())
}

fn heard(client: &Client, connection: &mut Connection) -> RedisResult<()> {
    let mut listening = client.get_connection()?;
    let mut listener = listening.as_pubsub();
    listener.subscribe("news")?;
    assert_eq!(connection.publish::<_, _, i64>("news", "text")?, 1);
    assert_eq!(listener.get_message()?.get_payload::<String>()?, "text");
    Ok(())
}
