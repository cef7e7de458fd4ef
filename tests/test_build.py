"""What is installed is what was meant to be."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import respcache
from respcache.engine import executor
from respcache.net import connection, links
from respcache.routing import router

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(
    Path(respcache.__file__).is_relative_to(ROOT / "respcache"),
    reason="installed editable: the sources run as they are",
)
@pytest.mark.skipif("RESPCACHE_PURE" in os.environ, reason="RESPCACHE_PURE is set: nothing was to be compiled")
@pytest.mark.skipif(
    shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C compiler, or no headers of Python",
)
def test_the_hot_path_is_compiled() -> None:
    """Where it can be compiled it was: a build that falls back does so quietly."""
    for module in (executor, connection, router, links):
        assert str(module.__file__).endswith(".so"), module


@pytest.mark.skipif(not Path(sys.executable).with_name("task").exists(), reason="go-task-bin is not installed")
def test_the_tasks_can_be_read() -> None:
    """Taskfile.yml is one that its runner understands."""
    listed = subprocess.run(
        [Path(sys.executable).with_name("task"), "--list"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert "test-cluster" in listed.stdout
