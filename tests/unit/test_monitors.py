"""What clients are shown of the commands of others."""

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from respcache.monitors import Monitors
from respcache.resp.inline import words


class Watcher:
    """A client that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.transmit: Callable[[bytes], None] | None = self.seen.append


@given(argv=st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_command_is_quoted_so_that_it_can_be_typed_again(argv: list[bytes]) -> None:
    """Whatever bytes are in it; the line is one line."""
    monitors, watcher = Monitors(lambda: None), Watcher()
    monitors.join(watcher)
    monitors.show(b"127.0.0.1:1", 3, [b"ECHO", *argv])
    monitors.flush()
    [line] = watcher.seen
    found = re.fullmatch(rb"\+\d+\.\d{6} \[3 127\.0\.0\.1:1\] (.*)\r\n", line)
    assert found is not None
    assert words(found[1]) == [b"ECHO", *argv]


def test_what_is_run_in_a_turn_goes_out_in_one_piece_to_those_who_watched() -> None:
    """Who comes later sees nothing of it; without anybody nothing is written down; both ends are told of."""
    changes: list[bool] = []
    wakes: list[bool] = []
    monitors = Monitors(lambda: changes.append(monitors.is_on))
    monitors.wake = lambda: wakes.append(True)
    first, second = Watcher(), Watcher()
    monitors.show(b"x", 0, [b"A"])
    monitors.join(first)
    monitors.show(b"x", 0, [b"B"])
    monitors.show(b"x", 0, [b"C"])
    assert first.seen == []
    monitors.join(second)
    monitors.show(b"x", 0, [b"D"])
    monitors.flush()
    monitors.flush()
    monitors.leave(first)
    monitors.leave(first)
    monitors.show(b"x", 0, [b"E"])
    monitors.leave(second)
    monitors.show(b"x", 0, [b"F"])
    assert [re.findall(rb'"(.)"', wire) for wire in first.seen] == [[b"B", b"C"], [b"D"]]
    assert [re.findall(rb'"(.)"', wire) for wire in second.seen] == [[b"D"], [b"E"]]
    assert changes == [True, False]
    assert len(wakes) == 3
    assert (monitors.shown, len(monitors)) == (4, 0)


def test_passwords_are_not_shown() -> None:
    """Wherever a request may have one."""
    monitors, watcher = Monitors(lambda: None), Watcher()
    monitors.join(watcher)
    for argv in ([b"AUTH", b"secret"], [b"auth", b"me", b"secret"], [b"HELLO", b"3", b"auth", b"me", b"secret"]):
        monitors.show(b"x", 0, argv)
    monitors.flush()
    assert b"secret" not in b"".join(watcher.seen)
    assert b"".join(watcher.seen).count(b"(redacted)") == 5
