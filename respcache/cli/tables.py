"""Tables for people."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def table(
    head: "DataclassInstance", rows: Sequence["DataclassInstance"], colours: Mapping[str, str], *, colour_by: int
) -> list[str]:
    """Lay rows out below a head, in columns as wide as they need; the column `colour_by` gives a row its colour."""
    cells = [tuple(map(str, astuple(row))) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [
        click.style(line, fg=colours[row[colour_by]]) if row[colour_by] in colours else line
        for line, row in zip(lines, cells, strict=True)
    ]
