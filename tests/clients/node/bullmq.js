// BullMQ: results, a job for later, one that fails twice; with the usual prefix, and with a hash tag as for a Redis Cluster.
import assert from "node:assert/strict";
import { Queue, QueueEvents, Worker } from "bullmq";

const { hostname: host, port } = new URL(process.env.RESPCACHE_URL);
for (const prefix of ["bull", "{bull}"]) {
  const options = { connection: { host, port: Number(port), maxRetriesPerRequest: null }, prefix };
  const queue = new Queue("work", options);
  await queue.obliterate({ force: true });
  const events = new QueueEvents("work", options);
  await events.waitUntilReady();
  const double = async ({ data }) => {
    if (data.fails) throw new Error("on purpose");
    return data.number * 2;
  };
  const worker = new Worker("work", double, options);
  const ended = (job) => job.waitUntilFinished(events, 20_000);

  for (let number = 0; number < 20; number += 1) {
    assert.equal(await ended(await queue.add("double", { number })), number * 2);
  }
  assert.equal(await ended(await queue.add("later", { number: 5 }, { delay: 200 })), 10);
  await assert.rejects(ended(await queue.add("fails", { fails: true }, { attempts: 2 })), /on purpose/);
  const { completed, failed } = await queue.getJobCounts();
  assert.deepEqual([completed, failed], [21, 1]);
  for (const one of [worker, events, queue]) await one.close();
}
