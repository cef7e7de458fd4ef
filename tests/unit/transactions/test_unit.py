"""Lists of commands that are run as one: written down and read by another node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.registry import TABLE, Command
from respcache.commands.resolving import resolve
from respcache.errors import CommandError
from respcache.transactions.unit import Call, Unit, read_unit

ARGVS = st.one_of(
    st.tuples(st.just(b"SET"), st.binary(), st.binary()),
    st.tuples(st.just(b"OBJECT"), st.just(b"ENCODING"), st.binary()),
    st.tuples(st.just(b"MGET"), st.binary(), st.binary(), st.binary()),
    st.tuples(st.just(b"DBSIZE")),
).map(list)
CALLS = st.builds(
    lambda argv, database, protocol: Call(resolve(argv), argv, database, protocol),
    ARGVS,
    st.integers(0, 15),
    st.sampled_from((2, 3)),
)
UNITS = st.builds(
    Unit, st.lists(CALLS), st.dictionaries(st.tuples(st.integers(0, 15), st.binary()), st.binary(min_size=1))
)


def parts(unit: Unit) -> tuple[list[tuple[Command, list[bytes], int, int]], dict[tuple[int, bytes], bytes]]:
    """Take a unit apart, to be compared."""
    return [(call.row, call.argv, call.database, call.protocol) for call in unit.calls], unit.tokens


@given(UNITS)
def test_a_unit_arrives_as_it_was_sent(unit: Unit) -> None:
    """Commands in order with database and protocol, and the tokens of watched keys."""
    assert parts(read_unit(unit.words(), resolve, 16)) == parts(unit)


@given(st.lists(st.one_of(st.binary(max_size=5), st.integers(-3, 30).map(lambda number: b"%d" % number)), max_size=12))
def test_what_is_no_unit_is_refused(words: list[bytes]) -> None:
    """Whatever a peer sends, it is a unit or an error."""
    try:
        unit = read_unit(words, resolve, 16)
    except CommandError:
        return
    assert parts(read_unit(unit.words(), resolve, 16)) == parts(unit)


@pytest.mark.parametrize(
    "words",
    [
        [],
        [b"0", b"0", b"2", b"1", b"PING"],
        [b"0", b"16", b"2", b"1", b"DBSIZE"],
        [b"0", b"0", b"4", b"1", b"DBSIZE"],
        [b"0", b"0", b"2", b"2", b"DBSIZE"],
        [b"0", b"0", b"2", b"0"],
        [b"0", b"0", b"2", b"1", b"NOTHING"],
        [b"1", b"16", b"k", b"token"],
        [b"1", b"0", b"k"],
        [b"-1"],
    ],
)
def test_each_fault_is_refused(words: list[bytes]) -> None:
    """Commands on sessions, databases and protocols that do not exist, and what ends too early."""
    with pytest.raises(CommandError):
        read_unit(words, resolve, 16)


def test_a_unit_writes_if_one_of_its_commands_does() -> None:
    """Then a link that is lost leaves its outcome uncertain."""
    get, put = (Call(TABLE[argv[0]], argv, 0, 2) for argv in ([b"GET", b"k"], [b"SET", b"k", b"v"]))
    assert not Unit([get], {}).writes
    assert Unit([get, put], {}).writes
