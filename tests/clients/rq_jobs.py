"""What the RQ worker of test_rq.py runs."""

from rq import get_current_job


def double(number: int) -> int:
    """Give twice a number, and note it in the job."""
    job = get_current_job()
    assert job is not None
    job.meta["seen"] = number
    job.save_meta()
    return 2 * number


def fail(text: str) -> None:
    """Fail with a text."""
    raise ValueError(text)
