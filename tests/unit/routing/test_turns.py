"""That a client's commands on a key take effect in the order in which they were sent, wherever the key goes."""

from collections import defaultdict, deque
from hashlib import sha1
from random import Random
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.routing.sheaf import Sheaf
from respcache.store.copies import Copies
from respcache.store.partition import Argv
from unit.neighbours import NAMES, Question, Street, arrived, key_of

KEYS: Final = tuple(key_of(name) for name in NAMES)
BESIDE: Final = tuple(b"{%b}beside" % key for key in KEYS)
"""Other keys of the same partitions."""
TEXT: Final = b"return redis.call('APPEND', KEYS[1], ARGV[1])"
"""A script that comes to no key but the one that it declares."""
DIGEST: Final = sha1(TEXT, usedforsecurity=False).hexdigest().encode()
FAR: Final = b"return redis.call('APPEND', KEYS[1] .. '', ARGV[1])"
"""One of which its text does not tell that."""
LENGTH: Final = 40
"""Commands of one client; as long as any are left, keys move."""


class Roads(Street):
    """Nodes whose questions, answers and news of moves are under way for any time, in order on each road."""

    def __init__(self, rng: Random) -> None:
        super().__init__(log=None)
        self._rng: Final = rng
        self._asks: Final[defaultdict[tuple[str, str], deque[Question]]] = defaultdict(deque)
        self._answers: Final[defaultdict[tuple[str, str], deque[tuple[Question, bytes | None]]]] = defaultdict(deque)
        self._news: Final[defaultdict[str, deque[int]]] = defaultdict(deque)
        """Versions of the table, by the node that is to hear of it."""
        self._moves: Final[list[tuple[int, str]]] = []
        """(partition, owner): the changes from each version to the next."""

    def deliver(self, question: Question) -> None:
        """Have an order run by its owner, which answers later."""
        owner, road = self.nodes[question.owner], (question.owner, question.asker.name)
        owner.serve(question, lambda wire: self._answers[road].append((question, wire)))

    def step(self) -> bool:
        """Let something arrive somewhere; False if nothing is under way."""
        while self.questions:
            question = self.questions.popleft()
            self._asks[question.asker.name, question.owner].append(question)
        full = [road for roads in (self._asks, self._answers, self._news) for road in roads.items() if road[1]]
        if not full:
            return False
        place, road = self._rng.choice(full)
        match road.popleft():
            case Question() as question:
                self.deliver(question)
            case Question() as question, wire:
                question.asker.answered(question, wire)
            case int(version):
                self._hear(str(place), version)
        self.end_turn()
        return True

    def move(self, key: bytes, to: str) -> None:
        """Hand a partition over with what is in it, unless it is locked; the third node hears of it later."""
        number = partition_of(key)
        before = next(name for name, node in self.nodes.items() if node.table.primary[number] == name)
        old, new = self.nodes[before], self.nodes[to]
        if before == to or number in old.locks.held:
            return
        self._moves.append((number, to))
        for stored in list(old.store.keyspace(0).partitions[number].values):
            entry = Copies(old.store).dump(number, 0, stored)
            Copies(old.store).restore(number, 0, stored, None)
            Copies(new.store).restore(number, 0, stored, entry)
        for name in self.nodes:
            self._news[name].append(1 + len(self._moves))
            if name in {before, to}:
                self._hear(name, 1 + len(self._moves))

    def _hear(self, name: str, version: int) -> None:
        node = self.nodes[name]
        known = node.table.version[1]
        if version <= known:
            return
        node.table.version = (1, version)
        for number, owner in self._moves[known - 1 : version - 1]:
            if node.table.primary[number] == name != owner:
                node.locks.close(number)
            elif owner == name != node.table.primary[number]:
                node.locks.open(number, None)
            node.table.primary[number], node.table.since[number] = owner, (1, version)
            node.table.changed = (1, version)
        node.router.rerouted()


class Reader:
    """A client, and what its connection does: it reads no further while something has to come first."""

    def __init__(self, street: Street, node: str, script: list[Argv], rng: Random) -> None:
        self._node: Final = street.nodes[node]
        self._left: Final = deque(script)
        self._session: Final[Session] = street.client(node)
        self._queue: Final[deque[bytes | Pending]] = deque()
        self._rng: Final = rng
        self.replies: Final[list[bytes]] = []

    @property
    def done(self) -> bool:
        """Whether everything is answered."""
        return self._all_there and not self._left

    @property
    def _all_there(self) -> bool:
        """Take the replies up to the first that is not there; tell whether that was all."""
        queue = self._queue
        while queue:
            reply = queue[0]
            if isinstance(reply, bytes):
                self.replies.append(reply)
            elif reply.wire is None:
                return False
            else:
                self.replies.append(reply.wire)
                if isinstance(reply, Sheaf):
                    reply.take()
            queue.popleft()
        return True

    def read(self) -> None:
        """Send some commands, if they are read at all."""
        session = self._session
        if session.barrier is not None and session.barrier.wire is not None:
            session.barrier = None
        if session.is_displaced and self._all_there:
            session.go_on()
        if self._left and session.barrier is None and not session.is_displaced:
            some = list(self._left)[: self._rng.randrange(1, 6)]
            for reply in self._node.batch(session, *some):  # as many as stand before one that holds up the others
                self._queue.append(reply)
                self._left.popleft()


def written(rng: Random, keys: tuple[bytes, ...], *, scripts: bool) -> list[Argv]:
    """Write what a client asks for: each reply depends on what came before."""

    def call() -> Argv:
        one, other = rng.sample(keys, 2)
        if scripts and rng.random() < 0.5:
            digit, twin = b"%d" % rng.randrange(10), b"{%b}twin" % one
            return rng.choice(
                [
                    [b"EVAL", TEXT, b"1", one, digit],
                    [b"EVALSHA", DIGEST, b"1", one, digit],
                    [b"EVAL", FAR, b"1", one, digit],
                    [b"RENAMENX", one, twin],
                    [b"BITOP", b"NOT", twin, one],
                ]
            )
        return rng.choice(
            [
                [b"APPEND", one, b"%d" % rng.randrange(10)],
                [b"APPEND", one, b"%d" % rng.randrange(10)],
                [b"GET", one],
                [b"SET", one, b"s", b"GET"],
                [b"GETDEL", one],
                [b"MGET", one, other],
                [b"DEL", one, other],
                [b"COPY", one, other, b"REPLACE"],
                [b"RENAME", one, other],
                [b"MSETNX", one, b"m", other, b"n"],
            ]
        )

    return [call() for _ in range(LENGTH)]


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_a_pipeline_is_answered_as_by_one_node_that_keeps_its_keys(seed: int) -> None:
    """Whatever moves or is locked meanwhile, and however late nodes hear of it, and of what they have asked."""
    answered_as_by_one_node(Random(seed), scripts=False)


@given(st.integers(0, 2**32))
@example(62_163_138)  # a partition went away and came back before the client's node heard of either
@settings(max_examples=25, deadline=None)
def test_so_are_scripts_and_commands_on_several_keys_of_one_partition(seed: int) -> None:
    """Those that their owner runs in one step are sent one behind the other, like commands on one key."""
    answered_as_by_one_node(Random(seed), scripts=True)


def test_what_its_owner_refuses_is_not_overtaken_though_the_owner_is_the_same_again() -> None:
    """A partition went away and came back before the client's node heard of either."""
    roads = Roads(Random(0))
    key, client = key_of("c"), roads.client()
    here = roads.nodes["a"]
    first = here.batch(client, [b"APPEND", key, b"x"])
    roads.move(key, "b")
    roads.move(key, "c")
    roads._hear("a", 3)
    assert client.is_displaced
    while not all(isinstance(reply, bytes) or reply.wire for reply in first):
        roads.step()
    client.go_on()
    then = here.batch(client, [b"APPEND", key, b"y"])
    while not all(isinstance(reply, bytes) or reply.wire for reply in then):
        roads.step()
    assert [arrived(reply) for reply in (*first, *then)] == [b":1\r\n", b":2\r\n"]


def test_parts_of_what_has_come_back_keep_its_place() -> None:
    """Behind an earlier command that has come back, too, and found the key locked where that is now."""
    roads = Roads(Random(0))
    first, second = key_of("c"), key_of("c", 1)
    here, number = roads.nodes["a"], partition_of(first)
    roads.move(key_of("b"), "a")  # the record of those who have asked is to be an earlier one
    replies = here.batch(roads.client(), [b"APPEND", first, b"x"], [b"DEL", first, second])
    roads.move(first, "a")
    assert here.locks.lock(b"b:1", (number,))
    append, delete = (roads.questions.popleft() for _ in replies)
    for question in (append, delete):
        here.answered(question, None)
    part = roads.questions.popleft()  # of DEL, the key that has not moved: under way
    assert part.order.argv == [b"DEL", second]
    here.locks.release((number,))
    here.router.routes_changed()
    here.answered(part, b":0\r\n")  # for which both have waited, and now for nothing more
    assert [arrived(reply) for reply in replies] == [b":1\r\n", b":1\r\n"]


def answered_as_by_one_node(rng: Random, *, scripts: bool) -> None:
    """Have two clients ask, and compare."""
    asked = {"a": written(rng, KEYS, scripts=scripts), "b": written(rng, BESIDE, scripts=scripts)}
    roads = Roads(rng)
    if scripts:
        roads.nodes[rng.choice(NAMES)].scripts.load(TEXT)
    readers = [Reader(roads, node, script, rng) for node, script in asked.items()]
    while not all(reader.done for reader in readers):
        match rng.randrange(4):
            case 0:
                rng.choice(readers).read()
            case 1 if rng.random() < 0.3:
                roads.move(rng.choice(KEYS), rng.choice(NAMES))
            case _ if not roads.step():
                rng.choice(readers).read()
                for node in roads.nodes.values():
                    node.router.sweep()
    for reader, script in zip(readers, asked.values(), strict=True):
        alone = Street(("a",))
        if scripts:
            alone.nodes["a"].scripts.load(TEXT)
        client = alone.client()
        assert reader.replies == [alone.ask(client, *argv) for argv in script]
