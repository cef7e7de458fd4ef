"""What may run side by side, where tests run on several cores: `pytest -n auto`; no example has to be quick.

Nor is garbage looked for all the time.
"""

import gc
import os
from collections.abc import Generator
from pathlib import PurePath
from typing import Final

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

GROUPS: Final = {"chaos": "deaths", "integration": "sockets", "compat": "redis", "test_tidy.py": "sources"}
"""What waits for the clocks of real nodes, what is compared with one real Redis, and what parses all files, by path."""
DEATHS: Final = frozenset({"test_command_line", "test_failover", "test_leases", "test_processes", "test_split"})
"""Of the tests on sockets, files that mostly wait for nodes to be found dead, or for processes to start and to end."""

GARBAGE_EVERY: Final = (50_000, 5, 10)
"""So many new objects, or collections of the next younger ones, and garbage is collected.

A node of a test is some ten thousand objects that go round in circles. Left to itself Python goes through all of
pytest's own objects for every few of these nodes, which takes half of the time of such tests.
"""

settings.register_profile("respcache", deadline=None)  # a fifth of a second is soon over on a busy machine
settings.load_profile("respcache")


class ByGroup(LoadScopeScheduling):  # type: ignore[misc] # xdist says nothing of its types
    """One worker runs all tests of a group, one after the other; all others go to whoever has time."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePath(nodeid.partition("::")[0])
        return "deaths" if path.stem in DEATHS else GROUPS.get(path.parts[1], nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    """Have workers run what this says. `--dist=loadgroup` says so, too, but groups nothing with pytest 9.2."""
    return ByGroup(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have one worker more than cores with `-n auto`: the one that runs the tests on sockets mostly waits."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among the tests while they are collected: they stay. Look for it seldom from then on."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.set_threshold(*GARBAGE_EVERY)
        gc.enable()
