"""Clients that write, read and delete without pause while a cluster changes, and judge every reply.

Each worker has keys of its own, so it knows what every read must give: its last
acknowledged write, through whatever node it asks. A write that failed may have been done or
not; its key is put aside with both outcomes, to be looked at in the end.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from integration.clients import Address, client

KEYS_A_WORKER = 60


@dataclass(slots=True)
class Report:
    """What the workers saw."""

    commands: int = 0
    failures: list[str] = field(default_factory=list)
    """Errors instead of replies."""
    wrong: list[str] = field(default_factory=list)
    """Replies that contradict what was acknowledged before."""
    latencies_s: list[float] = field(default_factory=list)
    certain: dict[bytes, bytes | None] = field(default_factory=dict)
    """The last acknowledged state by key; None for deleted ones."""
    doubtful: dict[bytes, set[bytes | None]] = field(default_factory=dict)
    """Keys whose last write failed, with the states that they may be in."""

    @property
    def longest_s(self) -> float:
        """The longest time that one command took."""
        return max(self.latencies_s, default=0.0)


class Workload:
    """Workers on the nodes that `use` has named."""

    def __init__(self, seed: int) -> None:
        self.report = Report()
        self._rng = random.Random(seed)
        self._seed = seed
        self._clients: dict[Address, Redis] = {}
        self._all: list[Redis] = []
        self._stopping = False

    def use(self, address: Address) -> None:
        """Send commands through this node, too."""
        self._clients[address] = client(address)
        self._all.append(self._clients[address])

    def avoid(self, address: Address) -> None:
        """Begin no more commands through this node."""
        del self._clients[address]

    @asynccontextmanager
    async def running(self, workers: int = 6) -> AsyncIterator[Report]:
        """Work for the length of a block; afterwards the report is complete."""
        tasks = [asyncio.create_task(self._work(number)) for number in range(workers)]
        try:
            yield self.report
        finally:
            self._stopping = True
            await asyncio.gather(*tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections."""
        for redis in self._all:
            await redis.aclose()

    async def check(self) -> None:
        """Read every key back through every node that is in use. Fails with all that is wrong."""
        report = self.report
        for address, redis in self._clients.items():
            for key, value in report.certain.items():
                found = await redis.get(key)
                if found != value:
                    report.wrong.append(f"{address} has {found!r} for {key!r}, not {value!r}")
            for key, values in report.doubtful.items():
                found = await redis.get(key)
                if found not in values:
                    report.wrong.append(f"{address} has {found!r} for {key!r}, none of {values!r}")
        assert not report.wrong, f"seed {self._seed}: {report.wrong[:10]}"

    async def _work(self, number: int) -> None:
        rng = random.Random(self._rng.random())
        turn = 0
        names = [b"w%d:%d" % (number, key) for key in range(KEYS_A_WORKER)]
        while not self._stopping:
            turn += 1
            place = rng.randrange(KEYS_A_WORKER)
            key = names[place]
            redis = rng.choice(list(self._clients.values()))
            kind = rng.random()
            if kind < 0.5:
                done = await self._read(redis, key)
            elif kind < 0.9:
                value = b"%d" % turn
                done = await self._write(key, value, partial(redis.set, key, value))
            else:
                done = await self._write(key, None, partial(redis.delete, key))
            if not done:
                names[place] = b"w%d:%d:%d" % (number, place, turn)

    async def _read(self, redis: Redis, key: bytes) -> bool:
        found = await self._timed(f"GET {key!r}", lambda: redis.get(key))
        if isinstance(found, RedisError):
            return True
        expected = self.report.certain.get(key)
        if found != expected:
            self.report.wrong.append(f"GET {key!r} gave {found!r}, not {expected!r}")
        return True

    async def _write(self, key: bytes, value: bytes | None, send: Callable[[], object]) -> bool:
        before = self.report.certain.get(key)
        reply = await self._timed(f"write {key!r}", send)
        if isinstance(reply, RedisError):
            self.report.certain.pop(key, None)
            self.report.doubtful[key] = {before, value}
            return False
        if value is None and reply != (before is not None):
            self.report.wrong.append(f"DEL {key!r} gave {reply!r}, the key held {before!r}")
        self.report.certain[key] = value
        return True

    async def _timed(self, what: str, send: Callable[[], object]) -> object:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            reply = await send()  # type: ignore[misc] # redis-py types its commands for both kinds of clients
        except RedisError as failure:
            reply = failure
            self.report.failures.append(f"{what}: {type(failure).__name__}: {failure}")
        self.report.commands += 1
        self.report.latencies_s.append(loop.time() - started)
        return reply
