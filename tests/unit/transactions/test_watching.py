"""Tokens of the states of keys: good until the key changes in any way, and never again."""

from collections.abc import Callable

import pytest

from respcache.cluster.ownership.slots import partition_of
from respcache.engine.executor import Executor
from respcache.routing.locking import Locks
from respcache.routing.observing import ObservedLog
from respcache.store.copies import StoredKey
from respcache.store.swapping import swap
from respcache.transactions.watching import REMEMBERED_S, WATCHED_MAX
from unit.alone import NotedLog
from unit.neighbours import Neighbour, Street

K, N = b"{t}k", b"{t}n"
PARTITION = partition_of(K)


class Owner:
    """A node that serves everything, and a client that changes keys."""

    def __init__(self) -> None:
        self.street = Street(("a",))
        self.node: Neighbour = self.street.nodes["a"]
        self.locks: Locks = self.node.locks
        self.executor: Executor = self.node.executor
        self.client = self.street.client()

    def do(self, line: str) -> bytes:
        """Run one command."""
        return self.street.ask(self.client, *line.encode().split())

    def token(self, key: bytes = K, *, database: int = 0) -> dict[StoredKey, bytes]:
        """Watch a key."""
        return {(database, key): self.locks.watches.token(database, key, self.street.now)}

    def unchanged(self, tokens: dict[StoredKey, bytes]) -> bool:
        """Compare."""
        return self.locks.watches.unchanged(tokens)


CHANGES = (
    "SET {t}k v",
    "SET {t}k other",
    "APPEND {t}k x",
    "DEL {t}k",
    "UNLINK {t}k {t}n",
    "GETDEL {t}k",
    "EXPIRE {t}k 100",
    "PEXPIRE {t}k 0",
    "GETEX {t}k EX 100",
    "RENAME {t}k {t}n",
    "RENAME {t}s {t}k",
    "COPY {t}s {t}k REPLACE",
    "MOVE {t}k 1",
    "MSET x 1 {t}k 2",
    "SUNIONSTORE {t}k {t}s",
    "ZUNIONSTORE {t}k 1 {t}s",
    "FLUSHDB",
    "FLUSHALL",
    "SWAPDB 0 1",
    "SWAPDB 1 0",
)
NO_CHANGES = (
    "GET {t}k",
    "SET {t}k v NX",
    "SET {t}n v",
    "EXPIRE {t}n 100",
    "PERSIST {t}k",
    "DEL {t}n",
    "LPUSH {t}k x",
    "COPY {t}k {t}n",
    "MSET x 1 y 2",
    "MGET {t}k {t}n",
    "SELECT 1",
    "SCAN 0",
    "SWAPDB 0 0",
    "SWAPDB 1 2",
)


@pytest.mark.parametrize("line", CHANGES)
def test_every_change_counts(line: str) -> None:
    """Were it to the same value."""
    owner = Owner()
    owner.do("SET {t}k v")
    owner.do("SADD {t}s member")
    token = owner.token()
    assert owner.unchanged(token)
    owner.do(line)
    assert not owner.unchanged(token)
    owner.do("SET {t}k v")
    assert not owner.unchanged(token)


@pytest.mark.parametrize("line", NO_CHANGES)
def test_what_changes_nothing_does_not_count(line: str) -> None:
    """Reads, refusals, other keys, and the same key of another database."""
    owner = Owner()
    owner.do("SET {t}k v")
    token = owner.token()
    owner.do(line)
    assert owner.unchanged(token)


@pytest.mark.parametrize(
    ("build", "change", "counts"),
    [
        ("SADD {t}k a", "SADD {t}k b", True),
        ("SADD {t}k a", "SREM {t}k a", True),
        ("SADD {t}k a", "SADD {t}k a", False),
        ("SADD {t}k a", "SUNIONSTORE {t}n {t}k", False),
        ("SADD {t}k a", "SMOVE {t}k {t}n a", True),
        ("HSET {t}k f v", "HSET {t}k f v", True),
        ("HSET {t}k f v", "HGETALL {t}k", False),
        ("RPUSH {t}k a b", "LMOVE {t}k {t}k LEFT RIGHT", True),
        ("RPUSH {t}k a b", "LRANGE {t}k 0 -1", False),
        ("ZADD {t}k 1 a", "ZINCRBY {t}k 1 a", True),
        ("ZADD {t}k 1 a", "ZINCRBY {t}k 0 a", False),
        ("ZADD {t}k 1 a", "ZADD {t}k 1 a", False),
    ],
)
def test_aggregates_change_in_place(build: str, change: str, counts: bool) -> None:  # noqa: FBT001 # a table of cases
    """The value is the same object then, and its state another."""
    owner = Owner()
    owner.do(build)
    token = owner.token()
    owner.do(change)
    assert owner.unchanged(token) is not counts


def test_a_key_that_is_not_there_can_be_watched() -> None:
    """Flushing does not change it; that it comes, and goes again, does."""
    owner = Owner()
    token = owner.token()
    owner.do("FLUSHALL")
    assert owner.unchanged(token)
    owner.do("SET {t}k v")
    owner.do("DEL {t}k")
    assert not owner.unchanged(token)


def test_a_key_that_expires_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether anybody has looked at it since or not; one that had expired before has not."""
    owner = Owner()
    owner.do("SET {t}k v PX 100000")
    token = owner.token()
    ledger = owner.node.store.ledger
    assert owner.unchanged(token)
    monkeypatch.setattr(ledger, "now_unix_ms", ledger.now_unix_ms + 100_001)
    assert not owner.unchanged(token)
    assert owner.unchanged(owner.token())


def test_a_key_whose_time_is_over_stays_for_a_script_that_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches it then sees it go."""
    owner = Owner()
    owner.do("SET {t}k v PX 100000")
    ledger = owner.node.store.ledger
    monkeypatch.setattr(ledger, "now_unix_ms", ledger.now_unix_ms + 100_001)
    monkeypatch.setattr(ledger, "still", True)
    token = owner.token()
    assert K in owner.node.store.keyspace(0).at(K).values
    monkeypatch.setattr(ledger, "still", False)
    assert not owner.unchanged(token)


@pytest.mark.parametrize("watched", [0, 1])
def test_a_key_whose_time_is_over_is_exchanged_for_none(watched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing for nothing, whichever of the two databases it is watched in, and before or behind the exchange."""
    owner = Owner()
    owner.do("SET {t}k v PX 100000")
    ledger = owner.node.store.ledger
    monkeypatch.setattr(ledger, "now_unix_ms", ledger.now_unix_ms + 100_001)
    token = {(watched, K): owner.locks.watches.token(watched, K, owner.street.now)}
    swap(owner.node.store, (PARTITION,), 0, 1)
    assert owner.unchanged(token)


@pytest.mark.parametrize("hand_over", [lambda locks: locks.open(PARTITION, None), lambda locks: locks.close(PARTITION)])
def test_a_partition_that_changes_hands_forgets_its_tokens(hand_over: Callable[[Locks], None]) -> None:
    """Nobody knows what happened meanwhile; tokens that are given later are others."""
    owner = Owner()
    token = owner.token()
    hand_over(owner.locks)
    owner.locks.open(PARTITION, None)
    assert not owner.unchanged(token)
    assert owner.token() != token
    assert not owner.unchanged(token)


def test_tokens_of_two_nodes_are_never_the_same() -> None:
    """Nor those of two runs of one node, for the run is part of them."""
    street = Street(("a", "b"))
    tokens = [node.locks.watches.token(0, K, 0.0) for node in street.nodes.values()]
    assert tokens[0] != tokens[1]


def test_watchers_share_a_token_and_one_change_ends_it() -> None:
    """A watcher that comes after the change gets another."""
    owner = Owner()
    first = owner.token()
    assert owner.token() == first
    owner.do("SET {t}k v")
    second = owner.token()
    assert second != first
    assert owner.unchanged(second)


def test_a_partition_without_watched_keys_is_as_all_others() -> None:
    """From the next sweep on; until then a command may be under way that needs the log."""
    log = NotedLog()
    owner = Owner()
    owner.locks.open(PARTITION, log)
    partition = owner.node.store.keyspace(0).partitions[PARTITION]
    owner.token()
    assert [type(partition.log)] == [ObservedLog]
    owner.do("SET {t}k v")
    owner.locks.watches.sweep(owner.street.now)
    assert partition.log is log
    assert not owner.locks.watches.observes(PARTITION)


def test_effects_reach_the_copies_all_the_same() -> None:
    """A watched partition passes them on, as long as there are copies."""
    log = NotedLog()
    owner = Owner()
    owner.locks.open(PARTITION, log)
    owner.token()
    owner.do("SET {t}k v")
    owner.do("SET {t}n w")
    assert [argv[1] for _, argv in log.effects] == [K, N]


def test_what_nobody_watches_anew_is_forgotten() -> None:
    """After an hour, or when there are too many; it counts as changed then."""
    owner = Owner()
    old, new = owner.token(K), None
    owner.street.now += REMEMBERED_S - 1
    new = owner.token(N)
    owner.locks.watches.sweep(owner.street.now)
    assert owner.unchanged(old)
    owner.locks.watches.sweep(owner.street.now + 1)
    assert not owner.unchanged(old)
    assert owner.unchanged(new)


def test_there_is_a_limit_to_what_is_remembered() -> None:
    """The key longest not watched is given up."""
    owner = Owner()
    tokens = [owner.token(b"%d" % number) for number in range(WATCHED_MAX)]
    assert owner.unchanged(tokens[0])
    tokens.append(owner.token(b"one more"))
    assert [owner.unchanged(token) for token in (tokens[0], tokens[1], tokens[-1])] == [False, True, True]
    assert len(owner.locks.watches) == WATCHED_MAX
