"""The command table."""

from contextlib import suppress

import pytest

from respcache.commands.registry import ALL, NO_KEYS, PAIRS, ROWS, Command, Flags, KeySpec, command, flag_names, lookup
from respcache.errors import UnknownSubcommand
from unit.commands import front


def test_a_command_is_found_under_any_spelling() -> None:
    """Capitals, small letters and mixtures give the same row."""
    assert lookup(b"GET") is lookup(b"get") is lookup(b"gEt") is not None
    assert lookup(b"nothing") is None


def test_a_family_finds_its_members_under_any_spelling() -> None:
    """An unknown one is refused in Redis' words."""
    row = lookup(b"CLIENT")
    assert row is not None
    assert row.member([b"CLIENT", b"iD"]).name == "CLIENT|ID"
    with pytest.raises(UnknownSubcommand, match="unknown subcommand 'foo'"):
        row.member([b"CLIENT", b"foo"])


def test_a_name_is_registered_once() -> None:
    """A second row for a name is a defect of the program, told at import."""
    with pytest.raises(RuntimeError, match="PING is registered twice"):
        command("PING", arity=1, flags=Flags.NONE, since="1.0.0")(lambda _session, _argv: None)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (ALL, [b"a", b"b", b"c", b"d"]),
        (PAIRS, [b"a", b"c"]),
        (KeySpec(2, 2, 1), [b"b"]),
        (KeySpec(1, -2, 1), [b"a", b"b", b"c"]),
        (NO_KEYS, []),
    ],
)
def test_keys_are_picked_by_position(keys: KeySpec, expected: list[bytes]) -> None:
    """From the first to the last, a negative last counts from the end."""
    assert keys.of([b"NAME", b"a", b"b", b"c", b"d"]) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([b"1", b"k", b"x"], [b"k"]),
        ([b"1", b"k"], [b"k"]),
        ([b"1"], []),
        ([b"01", b"k", b"x"], [b"k"]),
        ([b"2", b"k", b"l", b"x"], [b"k", b"l"]),
        ([b"0", b"x"], []),
        ([b"-1", b"x"], []),
        ([b"one", b"x"], []),
    ],
)
def test_counted_keys_are_as_many_as_are_said_and_there(words: list[bytes], expected: list[bytes]) -> None:
    """One, which most scripts have, like any other number."""
    assert KeySpec(0, 0, 1, count_at=1).of([b"NAME", *words]) == expected


def test_rows_are_in_the_order_of_their_indexes() -> None:
    """A node's counters are lists by index."""
    assert [row.index for row in ROWS] == list(range(len(ROWS)))


def test_flags_are_spelled_as_redis_does() -> None:
    """Small letters with underscores."""
    assert flag_names(Flags.WRITE | Flags.NO_ASYNC_LOADING) == {"write", "no_async_loading"}


STATE = (
    "authenticated",
    "barrier",
    "closing",
    "database",
    "killed",
    "library",
    "library_version",
    "monitors",
    "name",
    "no_evict",
    "no_touch",
    "protocol",
    "queue",
    "silence",
    "subscribed",
    "tracker",
    "watched",
)
"""What a connection is like, and its client would notice if somebody else changed it."""
WORDS = (b"1", b"ON", b"OFF", b"LIB-NAME", b"x")


@pytest.mark.parametrize("row", [row for row in ROWS if row.on_session], ids=lambda row: row.name)
def test_what_changes_a_connection_says_so(row: Command) -> None:
    """By its flag, which COMMAND INFO does not show: any other command leaves the session of its client as it was."""
    assert "connection" not in flag_names(row.flags)
    for word in WORDS:
        node = front.Front()
        client = node.client()
        before = {name: getattr(client, name) for name in STATE}
        argv = [*row.name.encode().split(b"|"), *[word] * (row.argc_min - row.name.count("|") - 1)]
        with suppress(AssertionError):  # it would wait, or ask other nodes: so it has been begun
            node.wire(client, *argv)
        after = {name: getattr(client, name) for name in STATE}
        assert before == after or Flags.CONNECTION in row.flags, (argv, before, after)
