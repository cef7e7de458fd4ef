"""Seeds of simulated scenarios, and how to run one of them again."""

import functools
import os
from collections.abc import Callable
from typing import Final

import pytest

_FIRST_SEED: Final = int(os.environ.get("RESPCACHE_SIM_SEED", "0"))
"""Set it to run other seeds; with RESPCACHE_SIM_SEEDS=1 that one alone."""
_SEEDS: Final = os.environ.get("RESPCACHE_SIM_SEEDS")


def seeds(count: int, *, after: int = 0) -> range:
    """Return the seeds of a scenario: `count` of them, from the `after`th on, unless the environment says otherwise."""
    first = _FIRST_SEED + after
    return range(first, first + (int(_SEEDS) if _SEEDS else count))


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
