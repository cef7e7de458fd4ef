"""What may run side by side, where tests run on several cores: `pytest -n auto`; no example has to be quick."""

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

HERE: Final = Path(__file__).parent
GROUPS: Final = {"chaos": "sockets", "integration": "sockets", "compat": "redis"}
"""What waits for the clocks of real nodes, and what is compared with one real Redis, by directory."""

settings.register_profile("respcache", deadline=None)  # a fifth of a second is soon over on a busy machine
settings.load_profile("respcache")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have one worker more than cores with `-n auto`: the one that runs the tests on sockets mostly waits."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one worker has to run."""
    for item in items:
        group = GROUPS.get(item.path.relative_to(HERE).parts[0])
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
