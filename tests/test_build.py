"""What is installed is what was meant to be."""

import shutil
import sysconfig
from pathlib import Path

import pytest

import respcache
from respcache import executor
from respcache.net import connection

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(
    Path(respcache.__file__).is_relative_to(ROOT / "respcache"),
    reason="installed editable: the sources run as they are",
)
@pytest.mark.skipif(
    shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C compiler, or no headers of Python",
)
def test_the_hot_path_is_compiled() -> None:
    """Where it can be compiled it was: a build that falls back does so quietly."""
    assert executor.__file__.endswith(".so")
    assert connection.__file__.endswith(".so")
