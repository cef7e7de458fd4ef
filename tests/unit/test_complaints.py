"""How many lines others can cause."""

import logging
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.complaints import INTERVAL_S, SOURCES_MAX, Complaints


@dataclass
class Clock:
    """A clock that somebody turns."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Read it."""
        return self.now_s


class Lines(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.kept.append(record.getMessage())


@dataclass
class Desk:
    """Complaints, with a clock and a log of their own."""

    clock: Clock = field(default_factory=Clock)
    lines: Lines = field(default_factory=Lines)

    def __post_init__(self) -> None:
        """Begin with nothing written."""
        log = logging.Logger("desk")  # noqa: LOG001 # of its own: getLogger would give the same one to all
        log.addHandler(self.lines)
        self.complaints = Complaints(log, self.clock)

    def take(self) -> list[str]:
        """Take out what was written."""
        kept, self.lines.kept = self.lines.kept, []
        return kept


def test_what_is_said_again_and_again_is_written_once_in_an_interval() -> None:
    """The next line tells how many there were, be it about another source."""
    desk = Desk()
    for _ in range(1000):
        desk.complaints.warn("key", "10.0.0.1", "%s has no key", "10.0.0.1")
        desk.clock.now_s += INTERVAL_S / 1001
    assert desk.take() == ["10.0.0.1 has no key"]
    desk.complaints.warn("label", "10.0.0.1", "another label")
    desk.complaints.warn("key", "10.0.0.2", "%s has no key", "10.0.0.2")
    assert desk.take() == ["another label", "10.0.0.2 has no key (and 999 more of which nothing was written)"]
    desk.clock.now_s = INTERVAL_S
    desk.complaints.warn("key", "10.0.0.1", "%s has no key", "10.0.0.1")
    assert desk.take() == ["10.0.0.1 has no key"]


def test_a_defect_is_shown_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of it once: another one is news."""
    complaints = Complaints(logging.getLogger(__name__))
    for fault in (KeyError("a"), KeyError("b"), ValueError("c")):
        complaints.fault("10.0.0.1", "failed on %s", fault, "this")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "failed on this")] * 2
    assert "KeyError: 'a'" in caplog.text
    assert "ValueError: c" in caplog.text


def test_a_thousand_sources_have_one_line_together() -> None:
    """But for the first of them, which have one each."""
    desk = Desk()
    for number in range(1000):
        desk.complaints.warn("key", f"10.0.{number // 256}.{number % 256}", "line")
    assert desk.take() == ["line"] * (SOURCES_MAX + 1)
    desk.clock.now_s = INTERVAL_S
    desk.complaints.warn("key", "10.1.0.1", "line")
    assert desk.take() == [f"line (and {1000 - SOURCES_MAX - 1} more of which nothing was written)"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3 * SOURCES_MAX), st.floats(0, INTERVAL_S / 50))))
def test_lines_are_bounded_whoever_sends_what(sent: list[tuple[str, int, float]]) -> None:
    """In any interval; and every complaint is a line, or told of by one, or still to be told of."""
    desk, written = Desk(), list[float]()
    for reason, source, pause_s in sent:
        desk.clock.now_s += pause_s
        desk.complaints.warn(reason, str(source), "line")
        written += [desk.clock.now_s] * (len(desk.lines.kept) - len(written))
    for at_s in written:
        assert sum(at_s <= other_s < at_s + INTERVAL_S for other_s in written) <= SOURCES_MAX + 2
    told = sum(int(line.split()[2]) for line in desk.lines.kept if " more " in line)
    assert len(written) + told <= len(sent)
    desk.clock.now_s += INTERVAL_S
    for reason in "ab":
        desk.complaints.warn(reason, "last", "line")
    told = sum(int(line.split()[2]) for line in desk.lines.kept if " more " in line)
    assert len(desk.lines.kept) + told == len(sent) + 2
