"""That a cluster grows and shrinks without losing a key, and copies no more than it has to."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaos.figures import at_least, at_most, check, keep, stated
from chaos.fleet import Fleet, Server, fleet_of, wait_for
from chaos.judging import Load, judged

COPIES = 2
BATCH = 1_000
TTL_S = 36_000
TTL_SLACK_S = 1_800
SEED = 31
STEPS = (3, 5, 3, 1)
CALM = 7_000
"""Writes after each change: some seconds, so that the median second is one under full load."""
STEADY_S = 2.0
"""For so long before the first change commands are counted: clients have found their pace by then."""


@dataclass(slots=True)
class Keys:
    """Keys of three kinds: without a deadline, with one, and deleted again."""

    number: int
    deleted: set[int] = field(default_factory=set)

    def write(self, server: Server) -> None:
        """Write all; every second one gets a deadline."""
        for batch in _batches(range(self.number)):
            self._send(
                server,
                [["SET", f"key:{n}", n, *(["EX", TTL_S] if n % 2 else [])] for n in batch],
            )

    def delete(self, server: Server, numbers: Iterable[int]) -> None:
        """Delete some."""
        for batch in _batches([n for n in numbers if n not in self.deleted]):
            assert self._send(server, [["DEL", f"key:{n}"] for n in batch]) == [1] * len(batch)
            self.deleted.update(batch)

    def faults(self, server: Server) -> tuple[int, int, int]:
        """Read all back; count the lost ones, the ones that came back, and the ones whose deadline is wrong."""
        lost = returned = wrong = 0
        for batch in _batches(range(self.number)):
            values = self._send(server, [["GET", f"key:{n}"] for n in batch])
            rests = self._send(server, [["TTL", f"key:{n}"] for n in batch])
            for n, value, rest in zip(batch, values, rests, strict=True):
                if n in self.deleted:
                    returned += value is not None
                    continue
                lost += value != b"%d" % n
                assert isinstance(rest, int)
                wrong += not (TTL_S - TTL_SLACK_S < rest <= TTL_S if n % 2 else rest == -1)
        return lost, returned, wrong

    @staticmethod
    def _send(server: Server, commands: Sequence[Sequence[object]]) -> list[object]:
        with server.client() as client:
            pipe = client.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            replies: list[object] = pipe.execute()
            return replies


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), BATCH):
        yield numbers[start : start + BATCH]


def copied(servers: Iterable[Server]) -> float:
    """Count the keys that nodes have been given as copies."""
    return sum(server.figure("rebalance_keys_moved_total", direction="in") for server in servers)


def grow(fleet: Fleet, keys: Keys) -> float:
    """Let a node join, and get its share; return how many keys that is."""
    server = fleet.add()
    wait_for(server.is_ready, f"{server.name} has its copies", timeout_s=120.0)
    fleet.whole(timeout_s=120.0)
    count = len(fleet.running)
    return (keys.number - len(keys.deleted)) * min(COPIES, count) / count


def shrink(fleet: Fleet, keys: Keys) -> float:
    """Let the last node leave; return how many keys it had that others have not."""
    count = len(fleet.running)
    assert fleet.running[-1].terminate() == 0
    fleet.whole(timeout_s=120.0)
    return (keys.number - len(keys.deleted)) * COPIES / count if count > COPIES else 0.0


def resize(fleet: Fleet, keys: Keys, load: Load | None = None) -> tuple[float, float]:
    """Go through all sizes, a node at a time, and delete keys meanwhile; return the copies made and needed.

    Clients are warned of each node that is about to leave, and go to each one that has joined. All copies that were
    ever made are counted, those too that were made after a change seemed to be over.
    """
    made = needed = 0.0
    changes = 0
    for size in STEPS:
        while len(fleet.running) != size:
            grows = len(fleet.running) < size
            if not grows:
                made += copied(fleet.running[-1:])  # nobody can ask it later
            if load is not None and not grows:
                load.follow(fleet, fleet.running[:-1])
            needed += (grow if grows else shrink)(fleet, keys)
            changes += 1
            if load is not None and grows:
                load.follow(fleet, fleet.running)
            keys.delete(fleet.running[changes % len(fleet.running)], range(changes * 10, keys.number, 200))
            if load is not None:
                load.go_on(CALM)
    return made + copied(fleet.running), needed


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_from_one_to_five_nodes_and_back_loses_nothing(tmp_path: Path) -> None:
    """1 > 3 > 5 > 3 > 1 nodes at rest: no key is lost, none returns, deadlines stand, and few copies are made."""
    keys = Keys(5_000)
    with fleet_of(1, tmp_path, "--environment=lan", "--shutdown-timeout=120") as fleet:
        first = fleet.servers[0]
        keys.write(first)
        made, needed = resize(fleet, keys)
        lost, returned, wrong = keys.faults(first)
    check(
        [
            at_most("keys lost", 0, lost),
            at_most("deleted keys that returned", 0, returned),
            at_most("keys with a wrong deadline", 0, wrong),
            at_most("copies made, of those that are needed", 1.2, made / needed, " x"),
        ]
    )


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_growing_and_shrinking_under_load_fails_no_command(tmp_path: Path) -> None:
    """1 > 3 > 5 > 3 > 1 nodes: no client of any of them is refused anything, and every reply is right.

    Clients have their homes on all nodes that there are. Those of one that is about to leave are warned of it.
    """
    keys = Keys(200_000)
    with fleet_of(1, tmp_path, "--environment=lan", "--shutdown-timeout=120") as fleet:
        keys.write(fleet.servers[0])
        with Load.running(fleet, tmp_path, seed=SEED) as load:
            load.go_on(CALM)
            began_s, ends_s = time.monotonic() - STEADY_S, time.monotonic()
            made, needed = resize(fleet, keys, load)
            judgement = judged(load.stop(), fleet)
        lost, returned, wrong = keys.faults(fleet.servers[0])
    print(judgement)  # noqa: T201 # what happened, if it fails
    figures = [
        stated("keys", keys.number),
        stated("nodes that joined or left", 8),
        at_least("acknowledged writes", 10_000, judgement.writes),
        at_least("commands a second before the first change", 2_000, judgement.rate(began_s, ends_s)),
        stated("commands in the median second, changes included", judgement.commands_a_second),
        at_most("commands that failed", 0, sum(judgement.errors().values()), promise=4),
        at_most("keys lost", 0, judgement.lost + lost, promise=1),
        at_most("keys with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys undecided", 0, judgement.undecided),
        at_most("deleted keys that returned", 0, returned, promise=2),
        at_most("keys with a wrong deadline", 0, wrong, promise=2),
        at_most("copies made, of those that are needed", 1.2, made / needed, " x"),
    ]
    keep("1 > 3 > 5 > 3 > 1 nodes under load", figures)
    check(figures)
