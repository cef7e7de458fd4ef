// ioredis: types, a pipeline, a transaction, a script, publish and subscribe, a walk; then its cluster client.
import assert from "node:assert/strict";
import { Cluster, Redis } from "ioredis";

const url = new URL(process.env.RESPCACHE_URL);
const client = new Redis(url.href);
await client.flushall();
assert.equal(await client.set("key", "value", "EX", 60), "OK");
assert.equal(await client.get("key"), "value");
assert.equal(await client.hset("hash", { a: 1, b: 2 }), 2);
assert.deepEqual(await client.hgetall("hash"), { a: "1", b: "2" });
const pipeline = client.pipeline();
for (let number = 0; number < 50; number += 1) pipeline.set(`k${number}`, number);
assert.ok((await pipeline.exec()).every(([error, reply]) => error === null && reply === "OK"));
assert.deepEqual(await client.multi().incr("one").incr("two").exec(), [[null, 1], [null, 1]]);
assert.equal(await client.eval("return redis.call('incr', KEYS[1])", 1, "one"), 2);

const walked = new Set();
for await (const keys of client.scanStream({ match: "k[0-9]*" })) keys.forEach((key) => walked.add(key));
assert.equal(walked.size, 50);

const listener = new Redis(url.href);
await listener.subscribe("news");
const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
assert.equal(await client.publish("news", "text"), 1);
assert.deepEqual(await heard, ["news", "text"]);

const cluster = new Cluster([{ host: url.hostname, port: Number(url.port) }]);
for (let number = 0; number < 50; number += 1) assert.equal(await cluster.incr(`k${number}`), number + 1);
assert.equal(cluster.nodes("master").length, 3);
await Promise.all([client.quit(), listener.quit(), cluster.quit()]);
