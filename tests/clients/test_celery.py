"""Celery: the broker, the result backend and a worker process, which is led to another node than its clients."""

import os
from collections.abc import Iterator
from types import ModuleType

import pytest

from clients.processes import worker
from respcache.testing import LocalCluster

celery = pytest.importorskip("celery", reason="needs the extra `clients`")

TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def tasks(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Run a worker on the second node; tasks are sent to the first, results read there."""
    first, second, _ = cluster.node_urls
    os.environ["RESPCACHE_URL"] = first
    from clients import celery_app  # noqa: PLC0415 # it reads the variable as it is imported

    log = tmp_path_factory.mktemp("celery") / "worker.log"
    with worker(
        second, log, "celery", "-A", "clients.celery_app", "worker", "-P", "solo", "-c", "1", "-l", "INFO", "-E"
    ):
        yield celery_app
    celery_app.app.close()


def test_a_task_is_run_and_its_result_comes_back(tasks: ModuleType) -> None:
    """Tasks are sent, run by the worker, and their results, errors included, are read."""
    assert tasks.add.delay(20, 22).get(timeout=TIMEOUT_S) == 42
    with pytest.raises(ValueError, match="on purpose"):
        tasks.fail.delay("on purpose").get(timeout=TIMEOUT_S)


def test_many_tasks_are_each_run_once(tasks: ModuleType) -> None:
    """A group's results come back in its order."""
    group = celery.group(tasks.add.s(number, number) for number in range(50))
    assert group.apply_async().get(timeout=TIMEOUT_S) == [2 * number for number in range(50)]


def test_chains_and_chords_lead_to_a_result(tasks: ModuleType) -> None:
    """A chain hands results on; a chord waits for all its parts, counted in the backend."""
    assert (tasks.add.s(1, 2) | tasks.add.s(3) | tasks.add.s(4)).apply_async().get(timeout=TIMEOUT_S) == 10
    chord = celery.chord((tasks.add.s(number, 1) for number in range(10)), tasks.total.s())
    assert chord.apply_async().get(timeout=TIMEOUT_S) == 55


def test_a_task_is_tried_again_and_one_can_wait(tasks: ModuleType) -> None:
    """Retries and countdowns pass through the broker's set of unacknowledged tasks."""
    assert tasks.third_time.delay().get(timeout=TIMEOUT_S) == 2
    assert tasks.add.apply_async((1, 1), countdown=0.2, priority=3).get(timeout=TIMEOUT_S) == 2


def test_the_worker_answers_questions(tasks: ModuleType) -> None:
    """Remote control goes over publish and subscribe, replies over a list."""
    replies = tasks.app.control.inspect(timeout=2.0).ping()
    assert [list(answer.values()) for answer in (replies or {}).values()] == [["pong"]]


def test_a_result_is_forgotten_and_a_queue_purged(tasks: ModuleType) -> None:
    """What is forgotten is gone from the backend; a queue nobody reads is emptied, and the count is right."""
    result = tasks.add.delay(1, 1)
    result.get(timeout=TIMEOUT_S)
    result.forget()
    assert tasks.app.backend.client.exists(f"celery-task-meta-{result.id}") == 0
    for number in range(5):
        tasks.add.apply_async((number, number), queue="unread")
    with tasks.app.connection_for_write() as connection:
        assert connection.default_channel.queue_purge("unread") == 5
