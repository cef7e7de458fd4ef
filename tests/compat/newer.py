"""Calls of commands that Redis 7.0 does not have, written and by chance, for a Valkey to answer them.

Where Valkey answers older commands in other words than Redis, the calls are left out.
"""

from pathlib import Path
from typing import Final

from compat.generator import NEWER, script
from compat.written import scripts
from respcache.store.partition import Argv

FOLDER: Final = Path(__file__).parent / "calls" / "newer"


def written() -> dict[str, list[Argv]]:
    """Give the calls written by hand, by file and number."""
    return scripts(FOLDER)


def drawn(seed: int) -> list[Argv]:
    """Make a script of calls by chance."""
    return [argv for argv in script(seed, of=NEWER) if not _is_otherwise(argv)]


def _is_otherwise(argv: Argv) -> bool:
    """Tell whether Valkey answers otherwise: it knows no empty cursor, refuses odd types, and reads what is damaged."""
    if argv[0].upper() in {b"DUMP", b"RESTORE"}:
        return True
    return argv[0].upper().endswith(b"SCAN") and (b"" in argv[1:3] or any(word.upper() == b"TYPE" for word in argv))
