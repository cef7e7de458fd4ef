"""Clients of JavaScript, run by node: BullMQ, and ioredis and node-redis, plain and cluster-aware."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "node"
TIMEOUT_S = 60.0

pytest.importorskip("lupa", reason="needs the extra `lua`")
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node on PATH"),
    pytest.mark.skipif(not (SCRIPTS / "node_modules").is_dir(), reason="needs `npm install` in tests/clients/node"),
]


@pytest.mark.parametrize("script", ["bullmq.js", "ioredis.js", "node-redis.js"])
def test_a_script_comes_to_its_end(url: str, script: str) -> None:
    """Each checks what it is told and ends with an error if that is wrong."""
    environment = {**os.environ, "RESPCACHE_URL": url}
    done = subprocess.run(
        ["node", script], check=False, cwd=SCRIPTS, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
