"""The application that the Celery worker of test_celery.py serves."""

import os

from celery import Celery, Task

URL = os.environ["RESPCACHE_URL"]

app = Celery("respcache", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@app.task
def total(numbers: list[int]) -> int:
    """Add what a group of tasks has returned."""
    return sum(numbers)


@app.task
def fail(text: str) -> None:
    """Fail with a text."""
    raise ValueError(text)


@app.task(bind=True, max_retries=3)
def third_time(self: Task) -> int:
    """Succeed at the third attempt."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return int(self.request.retries)
