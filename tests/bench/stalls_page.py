"""Writes docs/stalls.md from what `stalls` has measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

DOCS: Final = Path(__file__).parents[2] / "docs"
FIGURES: Final = DOCS / "stalls.json"
PAGE: Final = DOCS / "stalls.md"
NOTES: Final = (
    "## What is longer, and why",
    "",
    "Compiled, what computes takes about half of what it takes interpreted; what copies or frees memory does not.",
    "",
    "- `COPY` makes a copy of all elements, and writes it for the copies in other nodes, if there are any. So",
    "  do `MOVE`, `RENAME` to a key of another partition, `RESTORE`, `SUNIONSTORE` and its like: they are as",
    "  long as the value.",
    "- A string of 100 MB that comes, or is asked for, as a whole is copied as a whole. What goes on to its copies",
    "  travels in parts of 256 KB. `SETRANGE`, `APPEND`, `GETRANGE` and their like take what their part takes;",
    "  the first of those that change it copies the string.",
    "- A string is freed at once: the system takes back 100 MB in 7 to 9 ms (in less where `huge-pages`",
    "  applies), and Python has no way to give back a part of one. Everything else is freed bit by bit.",
    "- A script is interrupted after 5 ms, and then as soon as 100,000 of its instructions or a call have",
    "  passed.",
    "- While values move, a step of the primary and of the learner is a thousand elements, or 128 KB of a",
    "  string. The longest turns differ from run to run: in three measurements of three runs each they were 4.9,",
    "  5.1 and 6.2 ms at the primary, 4.1, 4.7 and 6.4 at the learner. Where lists of some 740,000 entries grow,",
    "  that takes 5 to 10 ms.",
    "",
    "Not in the tables: while `maxmemory` is exceeded by more than a 32nd, keys are deleted for up to 8 ms",
    "before a batch is run, because writes come in faster than keys go. A hash tag puts all its keys into one",
    "partition, whose table Python makes larger in one go: one of 350,000 keys takes 24 ms to grow, one of",
    "700,000 takes 55.",
)
"""What is longer, and why, in words."""
TURN_MAX_MS: Final = 5.0
"""How long a turn of the event loop should last at most."""


class Stall(msgspec.Struct, frozen=True):
    """The longest turns that one thing led to, in milliseconds of CPU time."""

    group: str
    name: str
    at_once_ms: float
    later_ms: float
    """The same, of what is done after it: memory is freed, what has expired is deleted."""
    what: str
    """The callback of the longer one."""


class Stalls(msgspec.Struct, frozen=True):
    """All that was measured."""

    measured: str
    """The day."""
    build: str
    elements: int
    stalls: list[Stall]


def write(stalls: Stalls) -> None:
    """Keep the figures, and write the page. What was measured before of other parts is kept."""
    groups = {stall.group for stall in stalls.stalls}
    others = [stall for stall in kept().stalls if stall.group not in groups] if FIGURES.exists() else []
    stalls = msgspec.structs.replace(stalls, stalls=[*others, *stalls.stalls])
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(stalls), indent=0) + b"\n")
    PAGE.write_text("\n".join(page(stalls)), encoding="utf-8")


def kept() -> Stalls:
    """Read the figures that were kept last."""
    return msgspec.json.decode(FIGURES.read_bytes(), type=Stalls)


def page(stalls: Stalls) -> Iterator[str]:
    """Give the lines of the page."""
    yield from (
        "# For how long a node is stopped",
        "",
        "One event loop serves all clients of a node, so what takes long in one turn of it makes all of them wait. The",
        f"longest turn of each of these, in milliseconds of CPU time (respcache {stalls.build}), on values of",
        f"{stalls.elements:,} elements. Measured on {stalls.measured} by `task bench:stalls -- --write` (and",
        f"`elements={stalls.elements}`), which",
        "also writes this page, on a small virtual machine that other programs were using too. *Later* is the longest",
        "turn of what follows when the command has been answered: memory is freed, copies are made, keys expire.",
        "What takes long is measured up to three times, and the least counts: other machines interrupt it, too.",
        f"What is longer than {TURN_MAX_MS:.0f} ms is bold; why is said below.",
    )
    for group in dict.fromkeys(stall.group for stall in stalls.stalls):
        yield from ("", f"## {group[0].upper()}{group[1:]}", "", "| | at once | later |", "|---|---|---|")
        for stall in stalls.stalls:
            if stall.group == group:
                yield f"| {stall.name} | {_cell(stall.at_once_ms)} | {_cell(stall.later_ms)} |"
    yield from ("", *NOTES, "")


def _cell(ms: float) -> str:
    return f"**{ms:.1f}**" if ms > TURN_MAX_MS else f"{ms:.1f}"
