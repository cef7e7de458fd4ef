"""Keeps what was measured, for the table in docs/reliability.md."""

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FILE: Final = "RESPCACHE_TEST_FIGURES"
"""The variable with the path of the JSON file; without it nothing is kept."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    target: str
    measured: str
    met: bool
    promise: int = 0
    """The promise of docs/reliability.md that this is about; 0 if it is about none."""


def at_most(what: str, limit: float, measured: float, unit: str = "", *, promise: int = 0) -> Figure:
    """Make a line for something that must not exceed a limit."""
    digits = 0 if float(measured).is_integer() else 2
    target = f"{limit:,g}{unit}" if not limit else f"at most {limit:,g}{unit}"
    return Figure(what, target, f"{measured:,.{digits}f}{unit}", measured <= limit, promise)


def at_least(what: str, limit: float, measured: float, unit: str = "") -> Figure:
    """Make a line for something that must not fall short of a limit."""
    return Figure(what, f"at least {limit:,g}{unit}", f"{measured:,.0f}{unit}", measured >= limit)


def stated(what: str, number: float) -> Figure:
    """Make a line for something that has no limit, and is told for what it says of the others."""
    return Figure(what, "-", f"{number:,.0f}", met=True)


def keep(scenario: str, figures: Sequence[Figure]) -> None:
    """Put the figures of a scenario into the file, in the place of those of an earlier run."""
    name = os.environ.get(FILE)
    if name is None:
        return
    path = Path(name)
    scenarios = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    scenarios[scenario] = {
        "measured": datetime.now(UTC).date().isoformat(),
        "build": build(),
        "figures": [[each.what, each.target, each.measured, each.met, each.promise] for each in figures],
    }
    path.write_text(json.dumps(scenarios, indent=2) + "\n", encoding="utf-8")


def build() -> str:
    """Tell whether the hot path is compiled."""
    executor = importlib.util.find_spec("respcache.engine.executor")
    assert executor is not None
    assert executor.origin is not None
    return "interpreted" if executor.origin.endswith(".py") else "compiled"


def check(figures: Sequence[Figure]) -> None:
    """Fail with all lines that miss their target."""
    missed = [f"{each.what}: {each.measured}, not {each.target}" for each in figures if not each.met]
    assert not missed, "; ".join(missed)
