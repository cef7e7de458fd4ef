"""The memory of slow commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.slowlog import ARGUMENT_MAX_BYTES, ARGUMENTS_MAX, SlowLog, shortened


def test_only_the_newest_are_kept() -> None:
    """A smaller limit takes effect with the next entry."""
    log = SlowLog()
    for number in range(5):
        log.record([b"%d" % number], duration_us=1, at_unix_s=0, address="", name=b"", keep=3)
    assert [entry.number for entry in log.newest(None)] == [4, 3, 2]
    log.record([b"5"], duration_us=1, at_unix_s=0, address="", name=b"", keep=1)
    assert [entry.argv for entry in log.newest(None)] == [[b"5"]]
    log.record([b"6"], duration_us=1, at_unix_s=0, address="", name=b"", keep=0)
    assert len(log) == 0


def test_long_requests_say_how_much_was_cut() -> None:
    """As Redis does, so that monitors find the same shapes."""
    assert shortened([b"x"] * 40) == [b"x"] * 31 + [b"... (9 more arguments)"]
    assert shortened([b"y" * 130]) == [b"y" * 128 + b"... (2 more bytes)"]


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        ("auth secret", "auth (redacted)"),
        ("AUTH user secret", "AUTH (redacted) (redacted)"),
        ("hello 3 auth user secret setname me", "hello 3 auth (redacted) (redacted) setname me"),
        ("HELLO 3 AUTH user", "HELLO 3 AUTH (redacted)"),
        ("config set maxclients 5 RequirePass secret", "config set maxclients 5 RequirePass (redacted)"),
        ("config set requirepass", "config set requirepass"),
        ("config get requirepass", "config get requirepass"),
        ("set auth secret", "set auth secret"),
    ],
)
def test_passwords_are_not_kept(request_: str, kept: str) -> None:
    """As in Redis, wherever in a request they stand."""
    log = SlowLog()
    log.record(request_.encode().split(), duration_us=1, at_unix_s=0, address="", name=b"", keep=3)
    assert log.newest(None)[0].argv == kept.encode().split()


@given(st.lists(st.binary(max_size=300), max_size=80))
def test_what_is_kept_is_bounded(argv: list[bytes]) -> None:
    """Whatever a client sends; a request that is short enough stays as it is."""
    kept = shortened(argv)
    assert len(kept) <= ARGUMENTS_MAX
    assert all(len(argument) < ARGUMENT_MAX_BYTES + 30 for argument in kept)
    if len(argv) <= ARGUMENTS_MAX and all(len(argument) <= ARGUMENT_MAX_BYTES for argument in argv):
        assert kept == argv
