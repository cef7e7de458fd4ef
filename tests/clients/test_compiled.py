"""Clients of compiled languages, plain and cluster-aware: go-redis, Jedis, Lettuce and redis-rs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JARS = HERE / "java" / "target" / "dependency"
TIMEOUT_S = 60.0
BUILD_TIMEOUT_S = 1200.0

pytest.importorskip("lupa", reason="needs the extra `lua`")


def built(tool: str, *arguments: str, folder: str) -> None:
    """Build a program, or skip the test where the machine lacks the tool for it."""
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} on PATH")
    done = subprocess.run(
        [tool, *arguments], check=False, cwd=HERE / folder, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S
    )
    if done.returncode:
        pytest.skip(f"{tool} could not build it, for want of the library perhaps: {done.stderr[-500:]}")


def run(url: str, folder: str, *command: str) -> None:
    """Run a program to its end: each checks what it is told, and ends with an error if that is wrong."""
    environment = {**os.environ, "RESPCACHE_URL": url}
    done = subprocess.run(
        command, check=False, cwd=HERE / folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(BUILD_TIMEOUT_S + TIMEOUT_S)
def test_go_redis(url: str) -> None:
    """Types, pipelines, transactions, scripts, publish and subscribe, waiting, walks; the cluster client."""
    built("go", "build", "-o", "target/through", ".", folder="go")
    run(url, "go", "./target/through")


@pytest.mark.timeout(BUILD_TIMEOUT_S + TIMEOUT_S)
def test_redis_rs(url: str) -> None:
    """The same for Rust."""
    built("cargo", "build", "--quiet", folder="rust")
    run(url, "rust", "./target/debug/respcache-clients")


@pytest.mark.parametrize("program", ["ThroughJedis.java", "ThroughLettuce.java"])
def test_java(url: str, program: str) -> None:
    """The same for Java; Lettuce is what Spring uses."""
    if shutil.which("java") is None or not JARS.is_dir():
        pytest.skip("needs java on PATH and `mvn dependency:copy-dependencies` in tests/clients/java")
    run(url, "java", "java", "-cp", f"{JARS}{os.sep}*", program)
