"""Writes the parts of the documentation that the program knows best: `python docs/generate.py`.

The table of commands in README.md, between its two markers, is made of the command table;
docs/metrics.md of the catalogue of metrics. With `--check` nothing is written, and what is
out of date is an error.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from respcache.commands.families import ROWS
from respcache.commands.registry import Command
from respcache.metrics import reference

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
METRICS: Final = ROOT / "docs" / "metrics.md"
BEGIN: Final = "<!-- commands: begin (written by docs/generate.py) -->\n"
END: Final = "<!-- commands: end -->\n"


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


def readme(text: str) -> str:
    """Put the table between the markers of the README. Raises ValueError unless it has both."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} lacks a line {BEGIN if not begin else END}")
    return f"{before}{begin}\n{command_table()}\n{end}{after}"


def main(*, check: bool) -> int:
    """Write the pages, or name those that are out of date; return the exit status."""
    pages = {README: readme(README.read_text(encoding="utf-8")), METRICS: reference.page()}
    stale = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
