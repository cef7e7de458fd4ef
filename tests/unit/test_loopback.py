"""Ports for tests: nobody else may be given what one process was."""

import itertools
import subprocess
import sys
from pathlib import Path

import loopback
from loopback import LOWEST, free_ports

PORTS = 2


def test_no_two_ports_are_the_same() -> None:
    """In one call as from one call to the next."""
    assert len({*free_ports(PORTS), *free_ports(PORTS)}) == 2 * PORTS


def test_what_a_live_process_was_given_is_not_given_again() -> None:
    """Though nobody listens there yet; when the process is gone, killed or not, the port is free."""
    program = f"import loopback; print(*loopback.free_ports({PORTS}), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(loopback.__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        theirs = [int(port) for port in other.stdout.readline().split()]
        (ours,) = free_ports(1, itertools.chain(theirs, itertools.count(LOWEST)))
        assert ours not in theirs
        other.kill()
    assert free_ports(PORTS, iter(theirs)) == theirs
