"""The summaries of commands, also where compilation took the docstrings away.

A row has its summary from the docstring of its handler, but compiled functions have none.
Their source lies beside what was compiled from it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from respcache.commands.registry import Command


def summary_of(row: Command) -> str:
    """Give the first line of the docstring of a command's handler."""
    if row.summary:
        return row.summary
    handler = row.on_session or row.on_script or row.on_keys or row.on_key
    return in_source(handler.__module__).get(row.name, "")


@cache
def in_source(module: str) -> dict[str, str]:
    """Read the summaries in a module of this package, by the names of the commands; takes some milliseconds, once."""
    file = Path(__file__).with_name(module.rpartition(".")[2] + ".py")
    return dict(_summaries(file.read_text("utf-8"))) if file.exists() else {}


def _summaries(source: str) -> Iterator[tuple[str, str]]:
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.FunctionDef):
            continue
        for decorator in statement.decorator_list:
            match decorator:
                case ast.Call(args=[ast.Constant(value=str(name))]):
                    yield name, (ast.get_docstring(statement) or "").partition("\n")[0]
