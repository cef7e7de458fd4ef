"""The rows of the command table beside those of a real Redis."""

from compat import targets  # noqa: F401 # it imports the modules of the commands
from compat.conftest import Connect
from compat.wire import Frame
from respcache.commands.key_uses import uses_of
from respcache.commands.registry import ROWS, flag_names


def _columns(frame: Frame) -> tuple[str, int, frozenset[str], tuple[int, int, int]]:
    """Give name, arity, flags and key positions of an element of COMMAND INFO."""
    elements = frame.elements
    assert elements is not None
    name, arity, flags, first, last, step = elements[:6]
    assert flags.elements is not None
    words = frozenset(flag.wire[1:-2].decode() for flag in flags.elements)
    numbers = tuple(int(number.wire[1:-2]) for number in (first, last, step))
    return name.wire.split(b"\r\n")[1].decode(), int(arity.wire[1:-2]), words, (numbers[0], numbers[1], numbers[2])


def test_arity_flags_and_key_positions_are_those_of_redis(oracle: Connect) -> None:
    """COMMAND INFO of a real Redis says of each command what its row says."""
    names = [row.name.lower() for row in ROWS]
    [answer] = oracle(2).run([[b"COMMAND", b"INFO", *(name.encode() for name in names)]])
    assert answer.elements is not None
    known = {_columns(frame)[0]: _columns(frame) for frame in answer.elements if not frame.is_null}
    ours = {
        row.name.lower(): (
            row.name.lower(),
            row.arity,
            flag_names(row.flags),
            (
                row.keys.first,
                row.keys.last - row.keys.first if 0 < row.keys.last < row.keys.first else row.keys.last,
                row.keys.step,
            ),
        )
        for row in ROWS
    }
    known |= {name: (name, arity, *known[name][2:]) for name, arity in WIDENED.items()}
    assert {name: columns for name, columns in ours.items() if name in known} == known


WIDENED = {"zrank": -3, "zrevrank": -3}
"""The arity of commands that Redis 7.2 gave an option."""


HALF_KNOWN = {"SORT", "SORT_RO", "GEORADIUS", "GEORADIUSBYMEMBER"}
"""Commands of which only the first key is specified; see docs/compatibility.md."""


def test_commands_use_their_keys_as_in_redis(oracle: Connect) -> None:
    """The flags of every key specification, in their order."""
    rows = {row.name.lower(): row for row in ROWS if row.on_session is None and row.name not in HALF_KNOWN}
    [answer] = oracle(2).run([[b"COMMAND", b"INFO", *(name.encode() for name in rows)]])
    assert answer.elements is not None
    compared = 0
    for row, frame in zip(rows.values(), answer.elements, strict=True):
        if frame.elements is None or not (specifications := frame.elements[8].elements):
            continue
        theirs = []
        for specification in specifications:
            assert specification.elements is not None
            values = dict(zip(specification.elements[::2], specification.elements[1::2], strict=True))
            flags = next(value for name, value in values.items() if b"flags" in name.wire)
            theirs.append({flag.wire[1:-2].decode() for flag in flags.elements or ()})
        assert [set(uses) for uses in uses_of(row)] == theirs, row.name
        compared += 1
    assert compared > 150
