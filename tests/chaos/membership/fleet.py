"""Nodes in processes of their own, on the `lan` profile, with what they say of themselves."""

import asyncio
import signal
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from chaos.membership.switchboard import Switchboard
from integration.clients import page
from integration.processes import ServerProcess, eventually
from loopback import HOST, free_ports

FLAGS: Final = ("--environment=lan", f"--bind={HOST}")


class Fleet:
    """Some nodes; with a switchboard between them, if there is one."""

    def __init__(self, count: int, board: Switchboard | None = None) -> None:
        self.nodes: Final[dict[int, ServerProcess]] = {}
        self._board: Final = board
        self._ports: Final = dict(enumerate(free_ports(count), 1))

    async def __aenter__(self) -> Self:
        """Start all nodes, one after the other, and wait until they are one cluster."""
        for number in self._ports:
            await self.start(number)
        await self.converge(len(self._ports))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill all."""
        await asyncio.gather(*(node.stop(signal.SIGKILL) for node in self.nodes.values()))

    async def start(self, number: int) -> None:
        """Start a node, or start it anew under its name and at its address."""
        name, port = f"node-{number}", self._ports[number]
        flags = [f"--name={name}", f"--cluster-port={port}"]
        host = HOST
        if self._board is not None:
            host = self._board.host_of(number) or await self._board.plug(number, name, port)
            flags.append(f"--advertise={host}")
        seeds = [seed for other, seed in self._seeds() if other != number]
        joining = [f"--join={','.join(seeds)}"] if seeds else []
        started = await ServerProcess.start(*FLAGS, *flags, *joining)
        places = {"resp": started.address, "cluster": started.cluster_address, "http": started.http_address}
        await started.redis.aclose()
        self.nodes[number] = ServerProcess(
            started.process, {place: f"{HOST}:{port}" for place, (_, port) in places.items()}
        )

    async def kill(self, number: int) -> None:
        """End a node at once."""
        await self.nodes.pop(number).stop(signal.SIGKILL)

    async def converge(self, members: int, *, among: Iterable[int] = (), timeout_s: float = 60.0) -> float:
        """Wait until nodes, by default all, see so many members; return how many seconds it took."""
        asked = [self.nodes[number] for number in among or self.nodes]

        async def agreed() -> bool:
            return set(await asyncio.gather(*(_members(node) for node in asked))) == {members}

        return await eventually(agreed, f"{members} members", timeout_s)

    async def transitions(self, to: str) -> int:
        """Add up how often members changed to a state, as all nodes saw it."""
        pages = await asyncio.gather(*(page(node.http_address, "/metrics") for node in self.nodes.values()))
        wanted = f'respcache_cluster_state_transitions_total{{to="{to}"}}'
        return sum(int(float(line.split()[-1])) for text in pages for line in text.splitlines() if wanted in line)

    def _seeds(self) -> list[tuple[int, str]]:
        return [(number, "{}:{}".format(*self._place(number))) for number in self.nodes]

    def _place(self, number: int) -> tuple[str, int]:
        host = None if self._board is None else self._board.host_of(number)
        return host or HOST, self._ports[number]


async def _members(node: ServerProcess) -> int:
    """Count the members that a node sees, whether its slots are served or not."""
    text = await page(node.http_address, "/metrics")
    counts = {
        line.split('"')[1]: int(float(line.split()[-1]))
        for line in text.splitlines()
        if line.startswith("respcache_cluster_members{")
    }
    return counts["alive"] + counts["suspect"]
