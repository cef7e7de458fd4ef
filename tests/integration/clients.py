"""redis-py clients for tests: nothing is tried again behind a test's back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from respcache.node import Node

Address = tuple[str, int]

REPLY_TIMEOUT_S = 15.0
"""Longer than any command may take: a reply that never comes is a failure with a name."""


def client(address: Address, *, protocol: int = 2) -> Redis:
    """Make a client of one node, with a pool of connections."""
    host, port = address
    return Redis(
        host=host, port=port, protocol=protocol, socket_timeout=REPLY_TIMEOUT_S, retry=Retry(NoBackoff(), retries=0)
    )


@asynccontextmanager
async def clients(nodes: Sequence[Node | Address]) -> AsyncIterator[list[Redis]]:
    """Make a client for each node, in the same order, for the length of a block."""
    async with AsyncExitStack() as stack:
        made = [client(node.address if isinstance(node, Node) else node) for node in nodes]
        for one in made:
            stack.push_async_callback(one.aclose)
        yield made


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> float:
    """Wait for a condition and return how many seconds it took; fail after `timeout_s`."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not condition():  # for want of an event: what is waited for shows in many places
        assert loop.time() - started < timeout_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.005)
    return loop.time() - started


async def command(redis: Redis, *words: object) -> object:
    """Send one command as it stands."""
    return await redis.execute_command(*words)  # type: ignore[no-untyped-call] # redis-py leaves it so


async def cluster_info(redis: Redis) -> dict[str, str]:
    """Give what CLUSTER INFO says, by name."""
    info = await command(redis, "CLUSTER INFO")
    assert isinstance(info, dict)
    return info


async def in_batches(redis: Redis, commands: Sequence[Sequence[object]], size: int = 500) -> list[object]:
    """Send many commands pipelined; errors come back as exception objects in their places."""
    replies: list[object] = []
    for start in range(0, len(commands), size):
        pipe = redis.pipeline(transaction=False)
        for words in commands[start : start + size]:
            pipe.execute_command(*words)
        replies += await pipe.execute(raise_on_error=False)
    return replies


async def page(address: Address | None, path: str) -> str:
    """Get a page by HTTP; it must be there."""
    assert address is not None, "HTTP is switched on"
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], head
    return body.decode()
