"""Small task queues that run in the test's process: huey, dramatiq, arq."""

from typing import Any

import pytest

from respcache.testing import LocalCluster

REASON = "needs the extra `clients`"
TIMEOUT_S = 20.0


def test_huey(url: str) -> None:
    """Tasks, retries, a schedule, a pipeline, priorities, a lock; run by a consumer with one thread."""
    huey = pytest.importorskip("huey", reason=REASON)
    pytest.importorskip("lupa", reason="needs the extra `lua`")
    queue = huey.PriorityRedisHuey("work", url=url)
    attempts: list[int] = []

    @queue.task()
    def double(number: int) -> int:
        return 2 * number

    @queue.task(retries=2)
    def second_time() -> int:
        attempts.append(1)
        if len(attempts) < 2:
            raise ValueError
        return len(attempts)

    @queue.task()
    @queue.lock_task("one")
    def locked() -> bool:
        return bool(queue.is_locked("one"))

    consumer = queue.create_consumer(
        workers=1, periodic=False, initial_delay=0.01, max_delay=0.1, check_worker_health=False
    )
    later = double.schedule((1,), delay=3600)
    assert (queue.scheduled_count(), queue.pending_count()) == (0, 1)
    consumer.start()
    try:
        assert double(21).get(blocking=True, timeout=TIMEOUT_S) == 42
        assert [result.get(blocking=True, timeout=TIMEOUT_S) for result in [double(n) for n in range(20)]] == [
            2 * number for number in range(20)
        ]
        assert queue.enqueue(double.s(1).then(double)).get(blocking=True, timeout=TIMEOUT_S) == [2, 4]
        assert locked().get(blocking=True, timeout=TIMEOUT_S)
        result = second_time()
        try:
            value = result.get(blocking=True, timeout=TIMEOUT_S)
        except huey.exceptions.TaskException:  # of the first attempt; reading it has taken it away
            result.reset()
            value = result.get(blocking=True, timeout=TIMEOUT_S)
        assert value == 2
        assert queue.scheduled_count() == 1
        later.revoke()
        assert later.is_revoked()
    finally:
        consumer.stop(graceful=True)
    assert queue.flush() is None


def test_dramatiq(cluster: LocalCluster, url: str) -> None:
    """Messages, results, groups, a delay, a retry, a limiter; sent to one node, worked on through another."""
    dramatiq = pytest.importorskip("dramatiq", reason=REASON)
    pytest.importorskip("lupa", reason="needs the extra `lua`")
    brokers = pytest.importorskip("dramatiq.brokers.redis", reason=REASON)
    results = pytest.importorskip("dramatiq.results", reason=REASON)
    backends = pytest.importorskip("dramatiq.results.backends", reason=REASON)
    limits = pytest.importorskip("dramatiq.rate_limits", reason=REASON)
    stores = pytest.importorskip("dramatiq.rate_limits.backends", reason=REASON)
    urls = cluster.node_urls
    other = urls[(urls.index(url) + 1) % len(urls)]
    attempts: list[int] = []

    def double(number: int) -> int:
        return 2 * number

    def second_time() -> int:
        attempts.append(1)
        if len(attempts) < 2:
            raise ValueError("on purpose")
        return len(attempts)

    def broker(through: str) -> Any:
        made = brokers.RedisBroker(url=through, maintenance_chance=100_000)  # with each call
        made.add_middleware(results.Results(backend=backends.RedisBackend(url=through)))
        for function in (double, second_time):
            dramatiq.actor(broker=made, store_results=True, min_backoff=1, max_retries=3)(function)
        return made

    sender, receiver = broker(url), broker(other)
    worker = dramatiq.Worker(receiver, worker_threads=1, worker_timeout=100)
    worker.start()
    try:
        send = sender.get_actor("double")
        assert send.send(21).get_result(backend=sender.get_results_backend(), block=True, timeout=30_000) == 42
        group = dramatiq.group([send.message(number) for number in range(20)], broker=sender).run()
        assert list(group.get_results(block=True, timeout=30_000)) == [2 * number for number in range(20)]
        delayed = send.send_with_options(args=(1,), delay=100)
        assert delayed.get_result(backend=sender.get_results_backend(), block=True, timeout=30_000) == 2
        again = sender.get_actor("second_time").send()
        sender.join("default", timeout=30_000)
        assert again.get_result(backend=sender.get_results_backend(), block=True, timeout=30_000) == 2
    finally:
        worker.stop()
        sender.close()
        receiver.close()
    mutex = limits.ConcurrentRateLimiter(stores.RedisBackend(url=url), "mutex", limit=1)
    with mutex.acquire(), mutex.acquire(raise_on_failure=False) as acquired:
        assert not acquired
    with mutex.acquire(raise_on_failure=False) as acquired:
        assert acquired


async def test_arq(url: str) -> None:
    """Jobs, results, retries, one job for one id, jobs for later; run by a worker in burst mode."""
    arq = pytest.importorskip("arq", reason="needs the extra `arq`, in an environment of its own")
    attempts: list[int] = []

    async def double(_: dict[str, object], number: int) -> int:  # the library wants a coroutine
        return 2 * number

    async def second_time(_: dict[str, object]) -> int:
        attempts.append(1)
        if len(attempts) < 2:
            raise arq.Retry(defer=0)
        return len(attempts)

    settings = arq.connections.RedisSettings.from_dsn(url)
    pool = await arq.create_pool(settings)
    jobs = [await pool.enqueue_job("double", number) for number in range(20)]
    again = await pool.enqueue_job("second_time", _job_id="one")
    assert await pool.enqueue_job("second_time", _job_id="one") is None
    worker = arq.Worker(
        [arq.func(double, name="double"), arq.func(second_time, name="second_time")],
        redis_settings=settings,
        burst=True,
        poll_delay=0.05,
        handle_signals=False,
    )
    await worker.main()
    assert [await job.result(timeout=TIMEOUT_S) for job in jobs] == [2 * number for number in range(20)]
    assert await again.result(timeout=TIMEOUT_S) == 2
    later = await pool.enqueue_job("double", 1, _defer_by=3600)
    assert (await later.status()) == arq.jobs.JobStatus.deferred
    assert len(await pool.all_job_results()) == 21
    await worker.close()
    await pool.aclose()
