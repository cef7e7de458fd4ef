"""The command line as a newcomer uses it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from loopback import free_ports
from respcache.cli.client import Client, parse_info, seen_nodes
from respcache.cli.serve import Ready

pytestmark = pytest.mark.integration

PROGRAM: Final = (sys.executable, "-P", "-m", "respcache")
END_TIMEOUT_S: Final = 30.0


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program, and see to its end: a demo that is killed outright would leave its nodes behind."""
    process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_TIMEOUT_S)
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Read lines up to one that has the pattern, and give them all."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    pytest.fail(f"ended before {pattern!r}; said:\n{seen}")


def ended(process: subprocess.Popen[str], number: signal.Signals) -> int:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    return process.wait(END_TIMEOUT_S)


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_serve_ends_while_it_still_looks_for_a_cluster() -> None:
    """A signal is heeded long before `join-timeout`, and nothing is left of the node."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        alone = f"--join=127.0.0.1:{nobody.getsockname()[1]}"
        arguments = ("serve", "--port=0", "--http-port=0", "--loglevel=warning", "--join-timeout=60", alone)
        with subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "none of the join addresses answers yet" in process.stderr.readline()
            assert ended(process, signal.SIGTERM) == 0


def test_status_tells_a_port_that_speaks_no_resp() -> None:
    """The HTTP port is an easy mistake: it gets a sentence."""
    with running("serve", "--port=0", "--http-port=0", "--loglevel=warning") as process:
        ready = Ready.parse(read_until(process, "^ready "))
        assert ready is not None
        status = subprocess.run([*PROGRAM, "status", ready.http], capture_output=True, text=True, check=False)
        assert status.returncode == 1
        assert status.stderr == f"Error: {ready.http}: no RESP port: it answers something else\n"


def test_serve_is_ready_answers_and_leaves() -> None:
    """One line says where; SIGTERM ends it cleanly, and so does SHUTDOWN."""
    for by_signal in (True, False):
        with running("serve", "--port=0", "--http-port=0", "--loglevel=warning") as process:
            ready = Ready.parse(read_until(process, "^ready "))
            assert ready is not None
            process.send_signal(signal.SIGHUP)  # its terminal is gone, which is no reason
            with Client(ready.resp) as client:
                assert client.text("PING") == "PONG"
                if not by_signal:
                    with pytest.raises(ConnectionError):
                        client.ask("SHUTDOWN", "NOSAVE")
            assert (ended(process, signal.SIGTERM) if by_signal else process.wait(END_TIMEOUT_S)) == 0


def test_the_demo_is_one_cluster_that_grows_and_ends_as_a_whole() -> None:
    """Its nodes know each other; a node that joins is told; Ctrl-C leaves no process behind."""
    with running("demo", "--nodes=3") as process:
        told = read_until(process, "^Stop all")
        addresses = re.findall(r"^node (\S+)", told, re.MULTILINE)
        pids = [int(pid) for pid in re.findall(r"process (\d+)", told)]
        assert len(addresses) == len(pids) == 3
        with Client(addresses[0]) as first, Client(addresses[2]) as last:
            assert {node.address for node in seen_nodes(first)} == set(addresses)
            first.ask("SET", "greeting", "hello")
            assert last.text("GET", "greeting") == "hello"
        flags = ["--port=0", "--http-port=0", "--environment=local", f"--join={addresses[0]}"]
        with running("serve", *flags, "--loglevel=warning") as fourth:
            ready = Ready.parse(read_until(fourth, "^ready "))
            assert ready is not None
            read_until(process, rf"\+ {ready.resp} joined; nodes: 4")
            assert ended(fourth, signal.SIGTERM) == 0
            read_until(process, rf"- {ready.resp} left; nodes: 3")
        assert ended(process, signal.SIGINT) == 0
        assert not any(is_alive(pid) for pid in pids)


def test_the_demo_tells_of_dead_processes_and_ends_with_the_last() -> None:
    """Killed from outside, one by one."""
    with running("demo", "--nodes=2") as process:
        pids = [int(pid) for pid in re.findall(r"process (\d+)", read_until(process, "^Stop all"))]
        os.kill(pids[1], signal.SIGKILL)
        read_until(process, f"^process {pids[1]} was ended by SIGKILL: node 127")
        read_until(process, r"^x .* died; nodes: 1")
        os.kill(pids[0], signal.SIGKILL)
        read_until(process, f"^process {pids[0]} was ended by SIGKILL")
        assert process.wait(END_TIMEOUT_S) == 1


def test_nodes_do_not_outlive_a_demo_that_is_killed() -> None:
    """It has no chance to tell them; they notice."""
    with running("demo", "--nodes=2") as process:
        pids = [int(pid) for pid in re.findall(r"process (\d+)", read_until(process, "^Stop all"))]
        process.kill()
        process.wait()
        deadline = time.monotonic() + END_TIMEOUT_S
        while any(is_alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "a node lives on"
            time.sleep(0.05)


def test_two_demos_run_side_by_side() -> None:
    """On known ports for clients too: what is not asked for is any free port."""
    port, other = free_ports(2)
    with running("demo", "--nodes=1", f"--port={port}") as one, running("demo", "--nodes=1", f"--port={other}") as two:
        for process, number in ((one, port), (two, other)):
            assert f"node 127.0.0.1:{number} " in read_until(process, "^Stop all")


def test_the_demo_leaves_no_trace_among_the_figures_of_its_nodes() -> None:
    """What a newcomer looks at are his own commands and connections."""
    with running("demo", "--nodes=1") as process:
        address = re.findall(r"^node (\S+)", read_until(process, "^Stop all"), re.MULTILINE)[0]
        with Client(address) as client:
            for _ in range(2):
                flags = ["--port=0", "--http-port=0", "--environment=local", f"--join={address}", "--loglevel=warning"]
                with running("serve", *flags) as other:
                    read_until(other, "^ready ")
                    read_until(process, "joined; nodes: 2")
                    assert ended(other, signal.SIGTERM) == 0
                read_until(process, "left; nodes: 1")
            figures = parse_info(client.text("INFO", "STATS", "COMMANDSTATS"))
            # the two that joined have asked where to, and may have asked again
            assert {name for name in figures if name.startswith("cmdstat_")} <= {"cmdstat_cluster|meetingpoint"}


def test_status_knows_the_cluster_port_and_the_names_of_nodes() -> None:
    """Both are mistakes and questions of the first hour."""
    with running("serve", "--port=0", "--http-port=0", "--loglevel=warning", "--name=four") as process:
        ready = Ready.parse(read_until(process, "^ready "))
        assert ready is not None
        shown = subprocess.run([*PROGRAM, "status", ready.resp], check=True, capture_output=True, text=True).stdout
        assert re.search(rf"^{ready.resp} +four +alive ", shown, re.MULTILINE)
        assert "too few nodes for 2 copies of each key: there are 1" in shown
        wrong = subprocess.run([*PROGRAM, "status", ready.cluster], check=False, capture_output=True, text=True)
        assert (wrong.returncode, f"{ready.cluster}: this is the cluster port" in wrong.stderr) == (1, True)


def test_status_shows_every_node() -> None:
    """Asked of one address, with keys and slots of each."""
    with running("serve", "--port=0", "--http-port=0", "--loglevel=warning") as process:
        ready = Ready.parse(read_until(process, "^ready "))
        assert ready is not None
        with Client(ready.resp) as client:
            client.ask("SET", "a", "1")
        shown = subprocess.run([*PROGRAM, "status", ready.resp], check=True, capture_output=True, text=True).stdout
        assert "cluster ok, 1 nodes, 16384 of 16384 slots served" in shown
        assert re.search(rf"^{ready.resp} +{ready.resp} +alive +16384 +1 +0 ", shown, re.MULTILINE)
        nowhere = subprocess.run([*PROGRAM, "status", "127.0.0.1:1"], check=False, capture_output=True, text=True)
        assert (nowhere.returncode, "127.0.0.1:1: " in nowhere.stderr) == (1, True)
