"""What nobody refers to any more is freed at once: nothing is left for Python's collector to find.

Of what is left, `respcache serve` would keep what had lasted until it was frozen (see `cli.collecting`). The nodes run
in a process of their own, and on the event loop that `respcache serve` has.
"""

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from respcache import ClusterConfig, Config, HttpConfig, Node, ServerConfig

HOST: Final = "127.0.0.1"
CLIENTS: Final = 12
"""Of each kind. One in four of them leaving something would be a leak; two or three things are the event loop's."""
LEFT_MAX: Final = CLIENTS // 4
KEYS: Final = 8

Client = Any
"""redis-py's types know nothing of the replies here."""


class Nodes:
    """Two nodes in one process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        first, second, self.http_port = self._line()
        self.ports = (first, second)

    def left(self) -> dict[str, int]:
        """Collect garbage; return what there was since the last time, by type."""
        assert self.process.stdin is not None
        self.process.stdin.write("collect\n")
        self.process.stdin.flush()
        found: dict[str, int] = self._line()
        return found

    def _line(self) -> Any:  # it has answers of two types
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Start the nodes, and end them."""
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.process.kill()
        nodes.process.communicate()


def strings(client: Client) -> None:
    """Read and write keys of both nodes, alone and together."""
    for number in range(KEYS):
        client.set(f"s{number}", "value", ex=100)
        client.get(f"s{number}")
    client.mget([f"s{number}" for number in range(KEYS)])
    client.delete(*[f"s{number}" for number in range(KEYS)])


def errors(client: Client) -> None:
    """Do all that is refused."""
    client.set("s", "value")
    for words in (("GET",), ("NOSUCH",), ("LPUSH", "s", "1"), ("EXEC",), ("CONFIG", "SET", "nosuch", "1")):
        with suppress(redis.ResponseError):
            client.execute_command(*words)


def transactions(client: Client) -> None:
    """Run transactions on keys of both nodes, some of which are given up."""
    with client.pipeline() as calls:
        calls.watch("t1", "t2")
        calls.multi()
        for number in range(KEYS):
            calls.incr(f"t{number}")
        calls.execute()
        calls.watch("t1")
        client.incr("t1")
        calls.multi()
        calls.incr("t1")
        with suppress(redis.WatchError):
            calls.execute()
    client.rename("t1", "t2")


def waiting(client: Client) -> None:
    """Wait for what does not come, and for what does."""
    client.blpop(["q1", "q2", "q3"], 0.01)
    client.rpush("q1", "element")
    client.blpop(["q1", "q2"], 0.01)
    client.execute_command("WAIT", 1, 10)


def listening(client: Client) -> None:
    """Subscribe, publish, hear."""
    listener = client.pubsub()
    listener.subscribe("channel")
    listener.psubscribe("chan*")
    client.publish("channel", "message")
    for _ in range(4):
        listener.get_message(timeout=1)
    listener.close()


def looking(client: Client) -> None:
    """Ask for what operators ask for."""
    for words in ("INFO", "CLUSTER HEALTH", "CLUSTER SLOTS", "CLIENT LIST", "CONFIG GET *", "DBSIZE", "SLOWLOG GET"):
        client.execute_command(*words.split())
    list(client.scan_iter(count=10))
    client.execute_command("CLIENT", "TRACKING", "ON", "BCAST")
    client.execute_command("CLIENT", "TRACKING", "OFF")


def values(client: Client) -> None:
    """Write values of all kinds, and delete them."""
    client.hset("h", mapping={str(number): "value" for number in range(200)})
    client.rpush("l", *range(200))
    client.zadd("z", {str(number): number for number in range(200)})
    client.sadd("set", *range(200))
    client.xadd("x", {"field": "value"})
    client.xgroup_create("x", "group", 0)
    client.xreadgroup("group", "consumer", {"x": ">"})
    client.sort("l", store="sorted")
    client.delete("h", "l", "z", "set", "x", "sorted")


@pytest.mark.parametrize("work", [strings, errors, transactions, waiting, listening, looking, values])
def test_clients_leave_nothing_behind(work: Callable[[Client], None], shared_nodes: Nodes) -> None:
    """However many clients come, work and go, there is no cycle of objects afterwards for each of them."""

    def all_clients() -> dict[str, int]:
        for number in range(CLIENTS):
            with redis.Redis(HOST, shared_nodes.ports[number % 2], single_connection_client=True) as client:
                work(client)
        return shared_nodes.left()

    all_clients()
    left = all_clients()
    assert max(left.values(), default=0) <= LEFT_MAX, left


def test_connections_that_break_leave_nothing_behind(shared_nodes: Nodes) -> None:
    """Nor do those that speak no RESP, are cut off in the middle of a request, or ask for metrics."""

    def all_connections() -> dict[str, int]:
        for words in (b"*1\r\n$x\r\n", b"*2\r\n$3\r\nGET\r\n$10", b"GET / HTTP/1.1\r\n\r\n", b"BLPOP q 0\r\n"):
            for number in range(CLIENTS):
                with socket.create_connection((HOST, shared_nodes.ports[number % 2])) as connection:
                    connection.sendall(words)
        for _ in range(CLIENTS):
            with urllib.request.urlopen(f"http://{HOST}:{shared_nodes.http_port}/metrics", timeout=30) as answer:
                assert answer.read()
        return shared_nodes.left()

    all_connections()
    left = all_connections()
    assert max(left.values(), default=0) <= LEFT_MAX, left


@pytest.fixture(scope="module")
def shared_nodes() -> Iterator[Nodes]:
    """Two nodes for all tests."""
    with two_nodes() as nodes:
        yield nodes


# -- the process with the nodes ------------------------------------------------------------------


def config(*join: str, http: bool = False) -> Config:
    """Configure a node on free ports."""
    return Config(
        server=ServerConfig(port=0, bind=HOST),
        cluster=ClusterConfig(port=0, environment="local", join=join),
        http=HttpConfig(enabled=http, port=0),
    )


async def serve() -> None:
    """Be the nodes, and do what standard input says."""
    loop = asyncio.get_running_loop()
    async with Node(config(http=True)) as first, Node(config(str(first.address))) as second:
        gc.collect()
        gc.disable()
        assert first.http_address is not None
        say([first.address.port, second.address.port, first.http_address[1]])
        while await loop.run_in_executor(None, sys.stdin.readline):
            while has_clients(first) or has_clients(second):  # noqa: ASYNC110 # connections have no events
                await asyncio.sleep(0.01)
            say(collect())


def has_clients(node: Node) -> bool:
    """Tell whether a connection is still to be closed."""
    assert node._runtime is not None
    return bool(node._runtime.server.sessions())


def collect() -> Counter[str]:
    """Give what the collector finds, by type."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = Counter(type(each).__qualname__ for each in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return found


def say(answer: object) -> None:
    """Answer in a line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
