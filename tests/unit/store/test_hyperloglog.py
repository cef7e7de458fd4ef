"""HyperLogLogs: both forms say the same, nothing else than Corrupted comes of damage, estimates are near."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store import hyperloglog, sparse
from respcache.store.hyperloglog import BLANK, EMPTY
from respcache.store.sparse import HEADER_BYTES, REGISTERS, Corrupted

USUAL = 3_000
ENDLESS = 1 << 40
DENSE = hyperloglog.densified(EMPTY)

elements = st.lists(st.binary(max_size=40), max_size=40)
ranks = st.integers(0, 2**32).map(lambda seed: bytes(Random(seed).choices(range(64), k=REGISTERS)))


@given(elements, st.sampled_from([0, 20, 60, USUAL]))
@settings(deadline=None)
def test_a_sparse_one_has_the_registers_of_a_dense_one(some: list[bytes], most_bytes: int) -> None:
    """Whichever elements are added, one by one or at once, and from whatever length on it becomes dense."""
    text = EMPTY
    for element in some:
        text = hyperloglog.added(text, [element], most_bytes)
    assert hyperloglog.densified(text) == hyperloglog.added(DENSE, some, USUAL)
    assert text == hyperloglog.added(EMPTY, some, most_bytes)
    assert hyperloglog.is_dense(text) or len(text) <= max(most_bytes, len(EMPTY))


@given(elements)
@settings(deadline=None)
def test_what_is_known_changes_nothing(some: list[bytes]) -> None:
    """The same object comes back, so that nothing is copied or told to anybody."""
    for text in (hyperloglog.added(EMPTY, some, USUAL), hyperloglog.added(DENSE, some, USUAL)):
        assert hyperloglog.added(text, some, USUAL) is text


@given(st.lists(st.tuples(st.integers(0, REGISTERS - 1), st.integers(1, 32)), max_size=60))
@settings(deadline=None)
def test_runs_say_what_was_written(lifted: list[tuple[int, int]]) -> None:
    """Registers keep the highest rank, in any order, also where the writer goes on from its last place."""
    writer, expected = sparse.Writer(EMPTY, ENDLESS), bytearray(REGISTERS)
    for register, rank in lifted:
        writer.lift(register, rank)
        expected[register] = max(expected[register], rank)
    assert sparse.registers(writer.text) == expected
    assert sparse.histogram(writer.text) == [expected.count(rank) for rank in range(64)]
    assert [rank for rank, length, _ in sparse.runs(writer.text) for _ in range(length)] == list(expected)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 3)), max_size=60))
@settings(deadline=None)
def test_the_runs_are_the_same_wherever_the_search_began(lifted: list[tuple[int, int]]) -> None:
    """A writer that has just been made looks from the start."""
    writer, text = sparse.Writer(EMPTY, ENDLESS), EMPTY
    for register, rank in sorted(lifted):
        writer.lift(register, rank)
        anew = sparse.Writer(text, ENDLESS)
        anew.lift(register, rank)
        text = anew.text
    assert writer.text == text


@given(ranks, ranks)
@settings(max_examples=20, deadline=None)
def test_the_larger_of_each_register_is_taken(one: bytes, other: bytes) -> None:
    """As a loop would."""
    assert hyperloglog.larger(one, other) == bytes(map(max, one, other))


@given(ranks)
@settings(max_examples=20, deadline=None)
def test_the_dense_form_is_read_as_it_was_written(found: bytes) -> None:
    """Six bits a register; register by register, and all at once."""
    text = hyperloglog.dense(DENSE[:HEADER_BYTES], found)
    assert hyperloglog.planes(text) == found
    ordered = hyperloglog.in_order(found)
    for register in (0, 1, 2, 3, 4, 5, 6, 7, 8191, 8192, REGISTERS - 2, REGISTERS - 1):
        assert hyperloglog.rank_of(text, register) == ordered[register]


@given(elements, elements, st.sampled_from([0, 100, USUAL]))
@settings(deadline=None)
def test_a_union_knows_all_elements(some: list[bytes], others: list[bytes], most_bytes: int) -> None:
    """It has the registers of one to which all were added, and merging again changes no register."""
    one, other = (hyperloglog.added(EMPTY, part, USUAL) for part in (some, others))
    merged = hyperloglog.merged(one, hyperloglog.planes(other), most_bytes)
    assert hyperloglog.planes(merged) == hyperloglog.planes(hyperloglog.added(EMPTY, some + others, USUAL))
    again = hyperloglog.merged(merged, hyperloglog.planes(other), most_bytes)
    assert hyperloglog.planes(again) == hyperloglog.planes(merged)


@given(elements, st.binary(max_size=6), st.integers(0, 60), st.binary(min_size=1, max_size=9))
@settings(deadline=None)
def test_damage_is_corruption_or_goes_unnoticed(some: list[bytes], piece: bytes, at: int, element: bytes) -> None:
    """Nothing else than Corrupted is raised, whatever bytes somebody has written over the string."""
    text = hyperloglog.added(EMPTY, some, USUAL)
    text = text[:at] + piece + text[at + len(piece) :]
    if not hyperloglog.is_one(text):
        return
    for use in (
        lambda: hyperloglog.count_of(text),
        lambda: hyperloglog.added(text, [element], USUAL),
        lambda: hyperloglog.merged(text, BLANK, USUAL),
        lambda: hyperloglog.densified(text),
    ):
        try:
            use()
        except Corrupted:
            continue
    assert sum(length for _, length, _ in sparse.runs(text)) >= 0


@pytest.mark.parametrize("number", [0, 1, 5, 100, 1_000, 20_000])
def test_estimates_are_near(number: int) -> None:
    """Within five standard errors of 1.04 / sqrt(16384)."""
    text = hyperloglog.added(DENSE, [b"element %d" % place for place in range(number)], USUAL)
    assert abs(hyperloglog.count_of(text) - number) <= 5 * 0.0081 * number


def test_registers_that_nobody_counted_with_give_what_c_gives() -> None:
    """All of them at their highest: the sum that is divided by is 0."""
    assert hyperloglog.estimate(hyperloglog.histogram(b"\x3f" * REGISTERS)) == -(2**63)


def test_a_count_is_noted_until_something_changes() -> None:
    """In the head, with the highest bit for a count that may be wrong."""
    text = hyperloglog.with_count(EMPTY, 77)
    assert hyperloglog.known_count(text) == 77
    assert hyperloglog.known_count(hyperloglog.added(text, [b"a"], USUAL)) is None
    assert hyperloglog.known_count(hyperloglog.stale(text)) is None
    assert hyperloglog.stale(hyperloglog.stale(text)) == hyperloglog.stale(text)
