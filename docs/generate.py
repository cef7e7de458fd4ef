"""Writes the parts of the documentation that the program knows best: `python docs/generate.py`.

The table of commands in README.md, between its two markers, is made of the command table;
docs/metrics.md of the catalogue of metrics; the tables in docs/reliability.md of what
`task chaos` measured, which it leaves in docs/reliability.json. With `--check` nothing is written, and what is
out of date is an error.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from respcache.commands.families import ROWS
from respcache.commands.registry import Command
from respcache.metrics import reference

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
METRICS: Final = ROOT / "docs" / "metrics.md"
RELIABILITY: Final = ROOT / "docs" / "reliability.md"
FIGURES: Final = ROOT / "docs" / "reliability.json"
BEGIN: Final = "<!-- {}: begin (written by docs/generate.py) -->\n"
END: Final = "<!-- {}: end -->\n"

PROMISES: Final = (1, 2, 3, 4)
"""Those of docs/reliability.md that scenarios test."""


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """One line that a scenario measured."""

    what: str
    target: str
    measured: str
    met: bool
    promise: int
    """What it is about; 0 for none."""


class Scenario(msgspec.Struct, frozen=True):
    """One run of one scenario."""

    measured: str
    """The day."""
    build: str
    figures: list[Figure]


def command_table() -> str:
    """Write the commands as a table in Markdown, a row for each of Redis' groups."""
    parents = sorted((row for row in ROWS if "|" not in row.name), key=lambda row: (row.group, row.name))
    return "\n".join(["| group | commands |", "|---|---|", *_groups(parents), ""])


def _groups(rows: list[Command]) -> Iterator[str]:
    for group, members in groupby(rows, key=lambda row: row.group):
        yield f"| {group} | {', '.join(map(_cell, members))} |"


def _cell(row: Command) -> str:
    if not row.subcommands:
        return f"`{row.name}`"
    members = " ".join(sorted(name.decode() for name in row.subcommands))
    return f"`{row.name}` (`{members}`)"


def figure_tables(scenarios: dict[str, Scenario]) -> str:
    """Write what was measured: promise by fault, then each scenario as a table of its own."""
    parts = [_matrix(scenarios), *(_scenario(name, scenarios[name]) for name in sorted(scenarios))]
    return "\n".join(line for part in parts for line in part)


def _matrix(scenarios: dict[str, Scenario]) -> Iterator[str]:
    yield f"| fault | {' | '.join(f'({promise})' for promise in PROMISES)} |"
    yield "|---" * (1 + len(PROMISES)) + "|"
    for name in sorted(scenarios):
        cells = (_cell_of(scenarios[name], promise) for promise in PROMISES)
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""


def _cell_of(scenario: Scenario, promise: int) -> str:
    figures = [figure for figure in scenario.figures if figure.promise == promise]
    if not figures:
        return "-"
    return ", ".join(f"**{each.measured}** {each.what}" for each in figures if not each.met) or "holds"


def _scenario(name: str, scenario: Scenario) -> Iterator[str]:
    yield from (f"### {name}", "", f"{scenario.measured}, {scenario.build}.", "")
    yield from ("| | target | measured | |", "|---|---|---|---|")
    for each in scenario.figures:
        yield f"| {each.what} | {each.target} | {each.measured} | {'' if each.met else '**missed**'} |"
    yield ""


def between_marks(path: Path, name: str, part: str) -> str:
    """Return the text of a page with what lies between two markers replaced. Raises ValueError unless it has both."""
    text = path.read_text(encoding="utf-8")
    begin, end = BEGIN.format(name), END.format(name)
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{path.name} lacks a line {begin if not found_begin else end}")
    return f"{before}{begin}\n{part}\n{end}{after}"


def main(*, check: bool) -> int:
    """Write the pages, or name those that are out of date; return the exit status."""
    figures = msgspec.json.decode(FIGURES.read_bytes(), type=dict[str, Scenario])
    pages = {
        README: between_marks(README, "commands", command_table()),
        METRICS: reference.page(),
        RELIABILITY: between_marks(RELIABILITY, "figures", figure_tables(figures)),
    }
    stale = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
