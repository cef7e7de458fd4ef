r"""Calls written by hand, as one would type them: tests/compat/calls/*.txt.

Words are quoted as in an inline command ("\x00\n", 'as it is'); a blank line starts anew, with no keys.
"""

from pathlib import Path
from typing import Final

from respcache.resp.inline import words
from respcache.store.partition import Argv

FOLDER: Final = Path(__file__).parent / "calls"


def scripts(folder: Path = FOLDER) -> dict[str, list[Argv]]:
    """Give all scripts, runs of calls that begin without keys, by file and number."""
    found: dict[str, list[Argv]] = {}
    for path in sorted(folder.glob("*.txt")):
        for number, paragraph in enumerate(path.read_text("utf-8").strip().split("\n\n")):
            found[f"{path.stem}-{number}"] = [words(line.encode()) for line in paragraph.splitlines()]
    return found
