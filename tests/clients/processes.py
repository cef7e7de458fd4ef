"""Workers: processes that frameworks start by a command of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parent.parent
STOP_TIMEOUT_S = 20.0


@contextmanager
def worker(url: str, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m` with arguments for the length of a block; RESPCACHE_URL leads it to a node.

    What it prints is in `log`, and shown if the block fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "RESPCACHE_URL": url}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-P", "-m", *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text(errors="replace"))
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
