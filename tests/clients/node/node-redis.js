// node-redis: types, a pipeline, a transaction, a script, publish and subscribe, a walk; then its cluster client.
import assert from "node:assert/strict";
import { createClient, createCluster } from "redis";

const url = process.env.RESPCACHE_URL;
for (const RESP of [2, 3]) {
  const client = await createClient({ url, RESP }).connect();
  await client.flushAll();
  assert.equal(await client.set("key", "value", { EX: 60 }), "OK");
  assert.equal(await client.get("key"), "value");
  assert.equal(await client.hSet("hash", { a: 1, b: 2 }), 2);
  assert.deepEqual({ ...(await client.hGetAll("hash")) }, { a: "1", b: "2" });
  assert.equal(await client.zAdd("scores", [{ score: 1.5, value: "a" }]), 1);
  assert.equal(await client.zScore("scores", "a"), 1.5);
  await Promise.all(Array.from({ length: 50 }, (_, number) => client.set(`k${number}`, String(number))));
  assert.deepEqual(await client.multi().incr("one").incr("two").exec(), [1, 1]);
  assert.equal(await client.eval("return redis.call('incr', KEYS[1])", { keys: ["one"] }), 2);

  const walked = new Set();
  for await (const keys of client.scanIterator({ MATCH: "k[0-9]*" })) [keys].flat().forEach((key) => walked.add(key));
  assert.equal(walked.size, 50);

  const listener = await client.duplicate().connect();
  let hear;
  const heard = new Promise((resolve) => { hear = resolve; });
  await listener.subscribe("news", hear);
  assert.equal(await client.publish("news", "text"), 1);
  assert.equal(await heard, "text");

  const cluster = await createCluster({ rootNodes: [{ url }], defaults: { RESP } }).connect();
  for (let number = 0; number < 50; number += 1) assert.equal(await cluster.incr(`k${number}`), number + 1);
  assert.equal(cluster.masters.length, 3);
  await Promise.all([client.close(), listener.close(), cluster.close()]);
}
