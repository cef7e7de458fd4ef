"""What is to be said of a load: how much of it was acknowledged, lost, wrong, refused, and how long nobody answered."""

import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from chaos.fleet import HERE, Fleet, Server, wait_for
from chaos.load import Count, Homes, Plan, Sent
from simulation.linearizability import Kind, Operation, Outcome, Verdict, judge

STOP_S: Final = 60.0
KINDS: Final = {kind.name: kind for kind in Kind}


class Load:
    """The load in its process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "load.py"), msgspec.json.encode(plan).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            text=True,
        )

    @classmethod
    @contextmanager
    def running(cls, fleet: Fleet, folder: Path, *, seed: int, **settings: object) -> Iterator[Self]:
        """Have clients work on all nodes of a fleet for the length of a block, or until `stop`."""
        nodes = [(server.host, server.port) for server in fleet.servers]
        plan = {"nodes": nodes, "file": str(folder / "history"), "seed": seed, **settings}
        load = cls(msgspec.convert(plan, Plan))
        try:
            yield load
        finally:
            load._process.kill()
            load._process.wait(STOP_S)
            for stream in (load._process.stdin, load._process.stdout):
                assert stream is not None
                stream.close()

    def count(self) -> Count:
        """Ask how far it is."""
        return self._ask("count")

    def reach(self, writes: int, timeout_s: float = 120.0) -> None:
        """Wait until so many writes have been acknowledged."""
        wait_for(lambda: self.count().writes >= writes, f"{writes} acknowledged writes", timeout_s)

    def go_on(self, writes: int) -> None:
        """Wait until so many more writes have been acknowledged."""
        self.reach(self.count().writes + writes)

    def avoid(self, fleet: Fleet, server: Server | None) -> None:
        """Have the clients leave a node, as a load balancer does with one that is not ready; None for no node."""
        place = fleet.servers.index(server) if server is not None else -1
        self._ask(f"avoid {place}")
        wait_for(lambda: self._ask("count").clients[place] == 0 or server is None, "the clients have left the node")

    def follow(self, fleet: Fleet, servers: Sequence[Server]) -> None:
        """Have the clients spread over these nodes, and leave all others."""
        nodes = [(server.host, server.port) for server in fleet.servers]
        homes = Homes(nodes, [fleet.servers.index(server) for server in servers])
        words = f"homes {msgspec.json.encode(homes).decode()}"
        self._ask(words)
        others = [place for place in range(len(nodes)) if place not in homes.homes]
        wait_for(lambda: not any(self.count().clients[place] for place in others), "the clients have left other nodes")

    def stop(self) -> list[Sent]:
        """End it; return what every client sent and got."""
        self._ask("stop")
        self._process.wait(STOP_S)
        return msgspec.msgpack.decode(Path(self._plan.file).read_bytes(), type=list[Sent])

    def _ask(self, word: str) -> Count:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{word}\n")
        stdin.flush()
        return msgspec.json.decode(stdout.readline(), type=Count)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a load."""

    history: Sequence[Sent]
    during: Verdict
    """Of the replies to the clients."""
    after: Verdict
    """Of these and of what every node said of every key in the end."""

    @property
    def writes(self) -> int:
        """Acknowledged writes."""
        return sum(sent.outcome == "ok" and sent.kind != "READ" for sent in self.history)

    @property
    def wrong(self) -> int:
        """Keys of which a client was given a reply that cannot be."""
        return len(self.during.violations)

    @property
    def lost(self) -> int:
        """Keys of which the last state is not one that the replies allow."""
        return len(self.after.violations) - len(self.during.violations)

    @property
    def undecided(self) -> int:
        """Keys that could not be judged."""
        return len(self.after.undecided)

    def rate(self, since_s: float, until_s: float) -> float:
        """Commands that were answered in the mean second between two moments."""
        answered = sum(sent.outcome == "ok" and since_s <= sent.returned_s < until_s for sent in self.history)
        return answered / (until_s - since_s)

    @property
    def commands_a_second(self) -> float:
        """Commands that were answered in the median second: outages are told apart, and bring down every mean."""
        seconds = Counter(int(sent.returned_s) for sent in self.history if sent.outcome == "ok")
        return statistics.median(seconds[second] for second in range(min(seconds), max(seconds) + 1))

    def errors(self) -> Counter[str]:
        """Count what else than a reply came, by its code."""
        return Counter(sent.error for sent in self.history if sent.error)

    def outages_s(self, times_s: Sequence[float]) -> list[float]:
        """Tell for each moment how long a client went unanswered from then on, at most.

        Counted from a client's first command that was under way then or sent later, to its first
        reply that is none of an error.
        """
        by_client: defaultdict[int, list[Sent]] = defaultdict(list)
        for sent in self.history:
            by_client[sent.client].append(sent)
        outages = []
        for start_s, end_s in zip(times_s, [*times_s[1:], float("inf")], strict=True):
            outages.append(max(_longest(sents, start_s, end_s) for sents in by_client.values()))
        return outages

    def __str__(self) -> str:
        """Write it for people."""
        return (
            f"{len(self.history)} commands at {self.commands_a_second:.0f} in the median second, "
            f"{self.writes} acknowledged writes, {self.wrong} keys wrong, {self.lost} lost, "
            f"{self.undecided} undecided; {dict(self.errors())}\n{self.after}"
        )


def _longest(sents: Sequence[Sent], start_s: float, end_s: float) -> float:
    """Find the longest time without a good reply to one client between two moments."""
    longest, since_s = 0.0, None
    for sent in sents:
        if sent.returned_s < start_s or sent.invoked_s >= end_s:
            continue
        if since_s is None:
            since_s = max(sent.invoked_s, start_s)
        if sent.outcome == "ok":
            longest, since_s = max(longest, sent.returned_s - since_s), None
    return longest


def judged(history: Sequence[Sent], fleet: Fleet) -> Judgement:
    """Read every key back through every node, and judge."""
    fleet.whole()
    operations = [_operation(sent) for sent in history]
    at_s = max(operation.returned_s for operation in operations) + 1.0
    last = [
        Operation(key, Kind.READ, at_s, at_s, result=value, client=f"at last, {server.name}")
        for server in fleet.running
        for key, value in server.values(sorted({sent.key for sent in history})).items()
    ]
    return Judgement(history, judge(operations), judge([*operations, *last]))


def _operation(sent: Sent) -> Operation:
    return Operation(
        key=sent.key,
        kind=KINDS[sent.kind],
        invoked_s=sent.invoked_s,
        returned_s=sent.returned_s,
        outcome=Outcome(sent.outcome),
        argument=sent.argument,
        result=sent.result,
        client=f"client {sent.client} at node {sent.node + 1}",
    )
