"""Seeds of simulated scenarios, and how to run one of them again."""

import functools
import gc
import os
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import pytest

R = TypeVar("R")

RUNS_PER_COLLECTION: Final = 10
"""A run leaves some megabytes of cycles."""
_FIRST_SEED: Final = int(os.environ.get("RESPCACHE_SIM_SEED", "0"))
"""Set it to run other seeds; with RESPCACHE_SIM_SEEDS=1 that one alone."""
_SEEDS: Final = os.environ.get("RESPCACHE_SIM_SEEDS")


def seeds(count: int, *, after: int = 0) -> range:
    """Return the seeds of a scenario: `count` of them, from the `after`th on, unless the environment says otherwise."""
    first = _FIRST_SEED + after
    return range(first, first + (int(_SEEDS) if _SEEDS else count))


def chunks(all_seeds: range, size: int) -> list[range]:
    """Cut seeds into pieces of a size, the last of which may be smaller."""
    return [all_seeds[at : at + size] for at in range(0, len(all_seeds), size)]


def each(some: Sequence[int], run: Callable[[int], R], *, scenario: str) -> list[R]:
    """Run something for each seed, and return what that returned.

    No time is spent on garbage meanwhile. Failures are raised together once all seeds had their turn, each with the
    line that replays it, which names the test in `scenario`.
    """
    results: list[R] = []
    failures: list[Exception] = []
    gc.disable()
    try:
        for turn, seed in enumerate(some, 1):
            try:
                results.append(run(seed))
            except Exception as error:  # noqa: BLE001 # it is raised, but not before the seeds to come had their turn
                replay(error, seed, scenario)
                failures.append(error)
            if turn % RUNS_PER_COLLECTION == 0:
                gc.collect()
    finally:
        gc.enable()
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(some)} seeds", failures)
    return results


def each_seed(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a scenario once per seed; a failure says which seed it was and how to run it again."""

    def wrap(scenario: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(scenario)
        def run(seed: int, **arguments: object) -> None:
            try:
                scenario(seed=seed, **arguments)
            except Exception as error:
                replay(error, seed, scenario.__name__)
                raise

        each: Callable[..., None] = pytest.mark.parametrize("seed", seeds(count))(run)
        return each

    return wrap


def replay(error: BaseException, seed: int, scenario: str) -> None:
    """Write into an error how to see it again."""
    error.add_note(f"seed {seed}; replay: task sim -- {scenario} {seed}")
