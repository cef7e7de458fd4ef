"""Everything that can be refused, as a line that a client can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache import errors
from respcache.errors import (
    ECHO_MAX_BYTES,
    CommandError,
    ConfigError,
    Moved,
    UnknownCommand,
    UnknownSubcommand,
    WrongArity,
)

NAMES_AND_QUOTES = 80
"""What an error says beside the client's own bytes, at most."""


@given(st.lists(st.binary(max_size=2 * ECHO_MAX_BYTES), min_size=1, max_size=20))
def test_a_client_cannot_break_or_flood_the_error_line(argv: list[bytes]) -> None:
    """Its bytes come back cut and without line ends, so that the next reply begins where it should."""
    for refusal in (UnknownCommand(argv), UnknownSubcommand("config", argv[0])):
        line = refusal.line()
        assert b"\r" not in line
        assert b"\n" not in line
        assert len(line) <= 3 * ECHO_MAX_BYTES + NAMES_AND_QUOTES


def test_an_unknown_command_is_named_with_its_arguments() -> None:
    """As Redis words it; bytes that are no text come back as they were."""
    line = UnknownCommand([b"FOO\xff", b"a", b"b\n"]).line()
    assert line == b"ERR unknown command 'FOO\xff', with args beginning with: 'a' 'b ' "


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (CommandError("no such key"), b"ERR no such key"),
        (Moved(3999, "127.0.0.1", 6381), b"MOVED 3999 127.0.0.1:6381"),
        (WrongArity("CONFIG|GET"), b"ERR wrong number of arguments for 'config|get' command"),
        (errors.WrongType(), b"WRONGTYPE Operation against a key holding the wrong kind of value"),
        (errors.ClusterDown(), b"CLUSTERDOWN The cluster is down"),
    ],
)
def test_clients_know_errors_by_their_first_word(refusal: CommandError, line: bytes) -> None:
    """The texts are part of the protocol."""
    assert refusal.line() == line


def test_every_error_is_one_of_the_tree() -> None:
    """So programs can catch the root; a bad setting is a ValueError besides."""
    named = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.RespcacheError) for kind in named)
    assert issubclass(ConfigError, ValueError)


def test_the_tree_in_the_docstring_names_them_all() -> None:
    """It is what a reader looks at."""
    assert errors.__doc__ is not None
    named = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert {name for name in named if name not in errors.__doc__} == set()
