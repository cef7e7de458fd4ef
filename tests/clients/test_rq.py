"""RQ: queues and a worker process in burst mode, which is led to another node than its clients."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from clients.processes import worker
from respcache.testing import LocalCluster

rq = pytest.importorskip("rq", reason="needs the extra `clients`")

TIMEOUT_S = 60.0


@pytest.fixture(params=[0, 1, 2], ids=["first", "second", "third"])
def through(cluster: LocalCluster, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Empty the cluster; give the URL of a node for clients, and that of the next for the worker."""
    urls = cluster.node_urls
    with redis.Redis.from_url(urls[0]) as client:
        client.flushall()
    return urls[request.param], urls[(request.param + 1) % 3]


def _work(url: str, log: Path, *options: str) -> None:
    """Let a worker run all that is queued."""
    arguments = ("rq.cli", "worker", "--burst", "--with-scheduler", "--url", url, *options, "work")
    with worker(url, log, *arguments) as process:
        assert process.wait(TIMEOUT_S) == 0


def test_jobs_are_run(through: tuple[str, str], tmp_path: Path) -> None:
    """Results, failures, dependencies and metadata; counted in the registries."""
    url, of_worker = through
    with redis.Redis.from_url(url) as connection:
        queue = rq.Queue("work", connection=connection)
        first = queue.enqueue("clients.rq_jobs.double", 21)
        after = queue.enqueue("clients.rq_jobs.double", 2, depends_on=first)
        failing = queue.enqueue("clients.rq_jobs.fail", "on purpose", retry=rq.Retry(max=1))
        many = queue.enqueue_many([rq.Queue.prepare_data("clients.rq_jobs.double", (number,)) for number in range(3)])
        _work(of_worker, tmp_path / "worker.log")
        assert (first.return_value(), after.return_value()) == (42, 4)
        assert [job.return_value() for job in many] == [0, 2, 4]
        assert first.get_meta() == {"seen": 21}
        assert failing.get_status() == "failed"
        assert "on purpose" in failing.latest_result().exc_string
        assert (queue.count, queue.finished_job_registry.count, queue.failed_job_registry.count) == (0, 5, 1)


def test_jobs_wait_for_their_time(through: tuple[str, str]) -> None:
    """A job for later is in the schedule, and can be cancelled there."""
    with redis.Redis.from_url(through[0]) as connection:
        queue = rq.Queue("work", connection=connection)
        job = queue.enqueue_in(timedelta(hours=1), "clients.rq_jobs.double", 1)
        assert queue.scheduled_job_registry.get_job_ids() == [job.id]
        assert queue.scheduled_job_registry.get_scheduled_time(job) > datetime.now(UTC)
        job.cancel()
        assert queue.scheduled_job_registry.count == 0
        assert queue.empty() == 0
