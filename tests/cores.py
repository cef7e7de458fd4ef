"""Work for all cores: a test whose seeds are independent of each other need not wait for them one by one.

A conftest makes a fixture of `on_all_cores`; processes are started once for the tests of a module.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final, TypeVar

A = TypeVar("A")
R = TypeVar("R")

CORES: Final = os.cpu_count() or 1


class Cores:
    """Processes that do what can be imported; arguments, results and failures are pickled on the way."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def each(self, job: Callable[[A], R], arguments: Sequence[A]) -> list[R]:
        """Do a job for every argument; the first failure, in their order, is raised here with its notes."""
        return list(self._pool.map(job, arguments))


def on_all_cores() -> Iterator[Cores]:
    """Start as many processes as there are cores, and end them."""
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        yield Cores(pool)
