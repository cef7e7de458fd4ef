"""Sealed datagrams: what was sealed arrives once, and nothing else does anything."""

import random
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.membership.wire import DATAGRAM_BYTES_MAX
from respcache.cluster.sealing import datagrams
from respcache.cluster.sealing.datagrams import (
    HELD_PER_PEER_MAX,
    OVERHEAD_BYTES,
    SEALED_BYTES_MAX,
    SILENCE_MAX,
    Address,
    Opened,
    Seal,
)
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.window import WINDOW

OLD, NEW, FOREIGN = (Key.of(bytes([number]) * 32) for number in (1, 2, 3))
A, B, C = (("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3))


class Sealer:
    """A node that has nothing but datagrams."""

    def __init__(self, address: Address, *keys: Key, label: str = "", seed: int = 0, plaintext: bool = False) -> None:
        self.address: Final = address
        self.ring = Keyring(keys or (OLD,))
        self.got: Final[list[bytes]] = []
        self.seal: Final = Seal(
            lambda: self.ring, label=label, entropy=random.Random(f"{address}{seed}").randbytes, plaintext=plaintext
        )

    @property
    def dropped(self) -> dict[str, int]:
        """What was dropped, by reason; without zeros."""
        return {reason: count for reason, count in self.seal.dropped.items() if count}

    def take(self, source: Address, datagram: bytes) -> Opened:
        """Take a datagram in."""
        opened = self.seal.open(source, datagram)
        if opened.payload is not None:
            self.got.append(opened.payload)
        return opened


def deliver(sender: Sealer, receiver: Sealer, sent: list[bytes]) -> None:
    """Carry datagrams, and what follows from them, until nothing is on its way."""
    travelling = [(sender, receiver, datagram) for datagram in sent]
    while travelling:
        one, other, datagram = travelling.pop(0)
        for _, answer in other.take(one.address, datagram).answers:
            travelling.append((other, one, answer))


def acquainted() -> tuple[Sealer, Sealer]:
    """Give two nodes that know each other."""
    a, b = Sealer(A), Sealer(B)
    deliver(a, b, a.seal.seal(B, b"hello"))
    deliver(b, a, b.seal.seal(A, b"hello"))
    assert (a.got, b.got) == ([b"hello"], [b"hello"])
    return a, b


def test_the_first_payload_waits_for_an_answer_and_arrives() -> None:
    """One question, one answer; from then on each payload is one datagram."""
    a, b = Sealer(A), Sealer(B)
    sent = a.seal.seal(B, b"first")
    assert len(sent) == 1
    assert b"first" not in sent[0]
    deliver(a, b, sent)
    assert b.got == [b"first"]
    second = a.seal.seal(B, b"second")
    deliver(a, b, second)
    assert (len(second), b.got, a.dropped, b.dropped) == (1, [b"first", b"second"], {}, {})


def test_a_full_datagram_fits_an_ethernet_frame() -> None:
    """The limit of the membership protocol holds with what the seal adds."""
    a, b = acquainted()
    (sent,) = a.seal.seal(B, bytes(DATAGRAM_BYTES_MAX))
    assert len(sent) == DATAGRAM_BYTES_MAX + OVERHEAD_BYTES <= SEALED_BYTES_MAX
    assert OVERHEAD_BYTES == 44
    assert b.take(A, sent).payload == bytes(DATAGRAM_BYTES_MAX)
    assert b.take(A, sent + bytes(100)).payload is None
    assert b.dropped == {"oversize": 1}


def test_payloads_for_a_stranger_are_limited() -> None:
    """What is too much is dropped and counted; the first ones arrive."""
    a, b = Sealer(A), Sealer(B)
    sent = [datagram for number in range(6) for datagram in a.seal.seal(B, b"%d" % number)]
    deliver(a, b, sent)
    assert b.got == [b"%d" % number for number in range(HELD_PER_PEER_MAX)]
    assert (a.dropped, a.seal._held) == ({"queue": 2}, {})


@given(st.data())
@settings(max_examples=150)
def test_no_change_of_a_datagram_gets_through(data: st.DataObject) -> None:
    """Bits flipped, bytes cut off or put on: nothing arrives, nothing changes, and it is counted."""
    a, b = acquainted()
    (sent,) = a.seal.seal(B, data.draw(st.binary(max_size=100)))
    change: Callable[[bytes], bytes] = data.draw(
        st.sampled_from(
            [
                lambda sent: sent[: data.draw(st.integers(0, len(sent) - 1))],
                lambda sent: sent + data.draw(st.binary(min_size=1, max_size=50)),
                lambda sent: data.draw(st.binary(min_size=1, max_size=20)) + sent,
                lambda sent: flipped(sent, data.draw(st.integers(0, 8 * len(sent) - 1))),
            ]
        )
    )
    before = sum(b.dropped.values())
    changed = b.seal.open(A, change(sent))
    if changed.payload is None:
        assert changed.answers == ()
        assert sum(b.dropped.values()) == before + 1
    assert changed.payload is None
    assert b.take(A, sent).payload is not None  # the true one is not used up by it


def flipped(sent: bytes, bit: int) -> bytes:
    """Turn one bit around."""
    return sent[: bit // 8] + bytes([sent[bit // 8] ^ 1 << bit % 8]) + sent[bit // 8 + 1 :]


def test_every_single_bit_counts() -> None:
    """Of the head, of the ciphertext and of the tag."""
    a, b = acquainted()
    (sent,) = a.seal.seal(B, b"payload")
    for bit in range(8 * len(sent)):
        assert b.take(A, flipped(sent, bit)) == Opened(), bit
    assert sum(b.dropped.values()) == 8 * len(sent)
    assert b.take(A, sent).payload == b"payload"


def test_a_datagram_counts_once() -> None:
    """A copy is a replay, from whatever address it comes."""
    a, b = acquainted()
    (sent,) = a.seal.seal(B, b"once")
    b.take(A, sent)
    for source in (A, C):
        assert b.take(source, sent) == Opened()
    assert (b.got, b.dropped) == ([b"hello", b"once"], {"replay": 2})


@given(order=st.permutations(range(12)), copies=st.integers(1, 3))
def test_any_order_will_do(order: list[int], copies: int) -> None:
    """Each arrives once, whatever is delayed or doubled."""
    a, b = acquainted()
    sent = [a.seal.seal(B, b"%d" % number)[0] for number in range(12)]
    for number in order * copies:
        b.take(A, sent[number])
    assert sorted(b.got[1:]) == sorted(b"%d" % number for number in range(12))


def test_what_is_overtaken_by_too_many_is_refused() -> None:
    """Nobody can tell then whether it has been there before."""
    a, b = acquainted()
    (late,) = a.seal.seal(B, b"late")
    for _ in range(WINDOW):
        b.take(A, a.seal.seal(B, b"x")[0])
    assert b.take(A, late) == Opened()
    assert b.dropped == {"replay": 1}


@pytest.mark.parametrize(
    ("stranger", "reason"), [(Sealer(B, FOREIGN), "key"), (Sealer(B, label="other"), "auth"), (Sealer(C), "stale")]
)
def test_what_was_sealed_for_others_is_refused(stranger: Sealer, reason: str) -> None:
    """Under another key, another label (even with the receiver's own salt), or for another node."""
    a, _ = acquainted()
    (sent,) = a.seal.seal(B, b"secret")
    assert stranger.take(A, sent) == Opened()
    assert (stranger.got, stranger.dropped) == ([], {reason: 1})


def test_a_question_from_outside_is_not_answered() -> None:
    """Neither under another key nor for another label."""
    b = Sealer(B)
    for outsider, reason in ((Sealer(C, FOREIGN), "key"), (Sealer(C, label="other"), "auth")):
        (question,) = outsider.seal.seal(B, b"let me in")
        assert b.take(C, question) == Opened()
        assert b.dropped.pop(reason) == 1
        assert b.seal.dropped[reason] == 1


def test_nothing_of_a_former_run_is_let_in() -> None:
    """Whoever recorded all that a node was sent can do nothing with it when the node has restarted."""
    a, _ = acquainted()
    recorded = [a.seal.seal(B, b"recorded")[0] for _ in range(3)] + a.seal.seal(C, b"x")
    again = Sealer(B, seed=1)
    for datagram in recorded:
        answers = again.take(A, datagram).answers
        assert all(b"recorded" not in answer for _, answer in answers)
    assert again.got == []
    assert again.seal._runs == {}
    assert again.seal._peers == {}


def test_an_old_question_is_answered_and_changes_nothing() -> None:
    """The answer is no larger, and only the one who asked can take it, once."""
    a, b = Sealer(A), Sealer(B)
    (question,) = a.seal.seal(B, b"x")
    answers = [b.take(C, question).answers for _ in range(3)]
    for ((address, answer),) in answers:
        assert address == C
        assert len(answer) <= len(question)
    assert (b.seal._runs, b.seal._peers, b.seal._held) == ({}, {}, {})
    stranger = Sealer(C)
    assert stranger.take(B, answers[0][0][1]) == Opened()
    assert len(a.take(B, answers[0][0][1]).answers) == 1
    assert a.take(B, answers[0][0][1]) == Opened()
    assert a.take(B, answers[1][0][1]) == Opened()
    assert a.dropped == {"replay": 1, "stale": 1}


def test_nothing_comes_back_to_its_sender() -> None:
    """Reflected, a datagram is refused."""
    a, _ = acquainted()
    for datagram in (*a.seal.seal(B, b"x"), *a.seal.seal(C, b"x")):
        assert a.take(B, datagram) == Opened()
    assert a.dropped == {"stale": 1, "replay": 1}


def test_a_node_that_restarts_is_found_again() -> None:
    """By whoever goes on writing to it: SILENCE_MAX packets and one more are lost, the next one arrives."""
    a, _ = acquainted()
    again = Sealer(B, seed=1)
    for number in range(SILENCE_MAX + 2):
        deliver(a, again, a.seal.seal(B, b"%d" % number))
    assert again.got == [b"%d" % (SILENCE_MAX + 1)]


def test_a_node_that_restarts_is_known_as_soon_as_it_speaks() -> None:
    """Its first packet tells the new run."""
    a, _ = acquainted()
    again = Sealer(B, seed=1)
    deliver(again, a, again.seal.seal(A, b"back"))
    deliver(a, again, a.seal.seal(B, b"welcome"))
    assert again.got == [b"welcome"]


def test_another_address_than_the_one_written_to_will_do() -> None:
    """Behind a translation of addresses, answers come from elsewhere."""
    a, b = Sealer(A), Sealer(C)
    for _ in range(2):
        deliver(a, b, a.seal.seal(B, b"x"))
    assert b.got == [b"x", b"x"]


def test_too_many_runs_are_forgotten_without_letting_any_packet_in_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new salt voids what was sealed for the old one."""
    monkeypatch.setattr(datagrams, "RUNS_MAX", 3)
    b = Sealer(B)
    recorded = []
    for number in range(10):
        a = Sealer(A, seed=number)
        deliver(a, b, a.seal.seal(B, b"x"))
        recorded += a.seal.seal(B, b"x")
        b.take(A, recorded[-1])
        assert len(b.seal._runs) <= 3
    got = len(b.got)
    for datagram in recorded:
        b.take(A, datagram)
    assert len(b.got) == got >= 10


def test_a_run_ends_long_before_its_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one begins by itself, and no packet is lost for long."""
    monkeypatch.setattr(datagrams, "RUN_PACKETS_MAX", 20)
    a, b = acquainted()
    salts: tuple[set[bytes], set[bytes]] = (set(), set())
    for number in range(200):
        deliver(a, b, a.seal.seal(B, b"%d" % number))
        salts[0].add(a.seal._salt)
        salts[1].add(b.seal._salt)
    assert len(salts[0]) > 8
    lost = {b"%d" % number for number in range(200)} - set(b.got)
    assert len(lost) <= (SILENCE_MAX + 1) * (len(salts[1]) - 1)


def test_keys_are_rotated_without_a_loss() -> None:
    """Whatever the order in which two nodes take the steps, as long as each waits for the one before."""
    a, b = acquainted()
    for node in (a, b):
        node.ring = node.ring.install(NEW)
        talk(a, b)
    for node in (b, a):
        node.ring = node.ring.use(NEW.fingerprint)
        talk(a, b)
    for node in (a, b):
        node.ring = node.ring.remove(OLD.fingerprint)
        talk(a, b)
    assert (a.dropped, b.dropped) == ({}, {})
    assert {key_id for run in a.seal._runs.values() for key_id in run.ciphers} == {NEW.id}


def talk(a: Sealer, b: Sealer) -> None:
    """Say something in both directions, which must arrive."""
    for one, other in ((a, b), (b, a)):
        deliver(one, other, one.seal.seal(other.address, b"talk"))
        assert other.got[-1] == b"talk"
        other.got.clear()


def test_whoever_has_the_old_key_alone_is_still_heard_and_hears() -> None:
    """A node that was away while the others went on to a new key."""
    a, b = Sealer(A, NEW, OLD), Sealer(B, OLD)
    talk(a, b)
    talk(b, a)
    a.ring = a.ring.use(OLD.fingerprint).use(NEW.fingerprint)
    for _ in range(SILENCE_MAX + 2):
        deliver(a, b, a.seal.seal(B, b"x"))
    talk(b, a)
    talk(a, b)


def test_plain_packets_are_refused_unless_allowed() -> None:
    """They are counted under a reason of their own."""
    plain = b"\x96rest"
    b = Sealer(B)
    assert b.take(A, plain) == Opened()
    assert b.dropped == {"plaintext": 1}
    assert Sealer(B, plaintext=True).take(A, plain).payload == plain


def test_a_cluster_moves_from_plain_to_sealed() -> None:
    """A node that allows both speaks plainly to those that are not heard sealed, and only to them."""
    a, b = Sealer(A, plaintext=True), Sealer(B, plaintext=True)
    sent = a.seal.seal(B, b"\x96plain")
    assert sent[0] == b"\x96plain"
    deliver(a, b, sent)
    (sealed,) = a.seal.seal(B, b"\x96more")
    assert b"more" not in sealed
    assert b.take(A, sealed).payload == b"\x96more"


@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.6))
@settings(max_examples=40)
def test_nodes_find_each_other_over_any_network(seed: int, loss: float) -> None:
    """With packets lost, doubled and reordered and nodes restarted, no payload arrives twice, and talk goes on."""
    rng = random.Random(seed)
    nodes = {address: Sealer(address, seed=seed) for address in (A, B)}
    travelling: list[tuple[Address, Address, bytes]] = []
    got: list[bytes] = []
    for number in range(120):
        here, there = rng.sample([A, B], 2)
        travelling += [(here, there, sent) for sent in nodes[here].seal.seal(there, b"%d" % number)]
        rng.shuffle(travelling)
        for _ in range(rng.randrange(4)):
            if not travelling:
                break
            source, target, sent = travelling.pop()
            if rng.random() < 0.2:
                travelling.append((source, target, sent))
            if rng.random() >= loss:
                opened = nodes[target].seal.open(source, sent)
                travelling += [(target, source, answer) for _, answer in opened.answers]
                got += [] if opened.payload is None else [opened.payload]
        if rng.random() < 0.02:
            nodes[here] = Sealer(here, seed=rng.getrandbits(32))
    assert len(got) == len(set(got))
    for _ in range(2 * SILENCE_MAX):
        deliver(nodes[A], nodes[B], nodes[A].seal.seal(B, b"end"))
    assert nodes[B].got[-1:] == [b"end"]
