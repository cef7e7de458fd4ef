"""Nodes in processes of their own, as users run them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from integration.clients import Address, client, cluster_info, command
from respcache.cli.client import parse_info

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0


class ServerProcess:
    """One node that runs `respcache serve`."""

    def __init__(self, process: Process, ready: dict[str, str]) -> None:
        self.process: Final = process
        self.address: Final = _address(ready["resp"])
        self.cluster_address: Final = _address(ready["cluster"])
        self.http_address: Final = _address(ready["http"])
        self.redis: Final[Redis] = client(self.address)

    @classmethod
    async def start(cls, *flags: str) -> Self:
        """Start a node on free ports and wait until it says that it serves."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "respcache", "serve"),
            *("--port=0", "--http-port=0", "--environment=local", "--loglevel=warning"),
            *flags,
            stdout=PIPE,
            stdin=DEVNULL,
            cwd="/",
            env=os.environ,
        )
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            word, *places = (await process.stdout.readline()).decode().split() or [""]
        if word != "ready":
            process.kill()
            await process.wait()
            raise AssertionError(f"no node came up; it exited with {process.returncode}")
        return cls(process, dict(place.split("=", 1) for place in places))

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await self.process.wait()
        await self.redis.aclose()
        assert self.process.returncode is not None
        return self.process.returncode

    async def members(self) -> int:
        """Ask the node how many members it sees; 0 if it does not answer."""
        try:
            info = await cluster_info(self.redis)
        except (RedisError, OSError):
            return 0
        return int(info["cluster_known_nodes"]) if info["cluster_state"] == "ok" else 0

    async def ready(self) -> bool:
        """Ask the node whether clients should be sent there, as orchestrators do."""
        assert self.http_address is not None
        reader, writer = await asyncio.open_connection(*self.http_address)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.startswith(b"HTTP/1.1 200 ")

    async def voters_spare(self) -> int:
        """Ask the node how many voters may die before nobody can decide on owners; -1 if it does not answer."""
        try:
            health = await command(self.redis, "CLUSTER", "HEALTH")
        except (RedisError, OSError):
            return -1
        assert isinstance(health, bytes)
        return int(parse_info(health.decode())["quorum_margin"])


class Processes:
    """A cluster of processes."""

    def __init__(self) -> None:
        self.servers: Final[list[ServerProcess]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what still runs."""
        await asyncio.gather(*(server.stop(signal.SIGKILL) for server in self.servers))

    async def add(self, *flags: str) -> ServerProcess:
        """Start a node that joins those that run."""
        running = ["{}:{}".format(*server.address) for server in self.servers if server.process.returncode is None]
        joining = [f"--join={','.join(running)}"] if running else []
        server = await ServerProcess.start(*joining, *flags)
        self.servers.append(server)
        return server

    async def converge(self, members: int, timeout_s: float = 10.0) -> float:
        """Wait until all that run see so many members and all slots served; return how many seconds it took."""
        running = [server for server in self.servers if server.process.returncode is None]

        async def agreed() -> bool:
            return set(await asyncio.gather(*(server.members() for server in running))) == {members}

        return await eventually(agreed, f"{members} members", timeout_s)

    async def spare_one(self, timeout_s: float = 30.0) -> None:
        """Wait until the others can decide on owners without any one of those that run: voters come one by one."""
        running = [server for server in self.servers if server.process.returncode is None]

        async def spared() -> bool:
            return min(await asyncio.gather(*(server.voters_spare() for server in running))) >= 1

        await eventually(spared, "a voter to spare", timeout_s)


async def eventually(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> float:
    """Wait for a condition that has to be asked for; return how many seconds it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not await condition():  # type: ignore[misc] # a coroutine function
        assert loop.time() - started < timeout_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)
    return loop.time() - started


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)
