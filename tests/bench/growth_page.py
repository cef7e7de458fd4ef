"""Writes docs/growth.md and its pictures from what `growth` has measured."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

DOCS: Final = Path(__file__).parents[2] / "docs"
FIGURES: Final = DOCS / "growth.json"
PAGE: Final = DOCS / "growth.md"
GROWTH_MAX: Final = 3.0
"""By how much more than Redis' a command's cost may grow from 1,000 elements to the most before it counts as growing
faster: both have to fetch from farther away what they look for in more memory, and Python has more of that."""
FROM: Final = 2
"""The place of 1,000 elements among the sizes."""
LEAST_US: Final = 0.5
"""What is less than this is the noise of the network around it."""
TURN_MAX_US: Final = 10_000
"""How long a turn of the event loop may last."""
COLUMNS: Final = 4
CELL: Final = (190, 150)
"""Width and height of a picture's part for one command."""
PLOT: Final = (34, 26, 142, 92)
"""Left, top, width and height of the axes in it."""
NOTES: Final = (
    "`LINSERT`, `LREM` and `LPOS` look at all elements before the one in question, here as there. Entries of a stream",
    "lie in packed blocks of up to a hundred: `XDEL` on a large stream, where each comes upon another block, cuts the",
    "entry out of it, which is what it costs at most; `XRANGE` opens one or two.",
)
DECADES: Final = (1, 10, 100, 1_000, 10_000, 100_000)
"""Microseconds, bottom to top."""
REDIS, OURS = "#b3541e", "#2563a8"


class Curve(msgspec.Struct, frozen=True):
    """What one command costs, by size, in microseconds of CPU time."""

    kind: str
    name: str
    redis_us: list[float]
    us: list[float]
    redis_longest_us: float
    longest_us: float
    """The most that one call took on the largest value."""


class Growth(msgspec.Struct, frozen=True):
    """All that was measured."""

    measured: str
    """The day."""
    build: str
    redis: str
    """The version."""
    sizes: list[int]
    curves: list[Curve]


def growth_of(costs_us: list[float]) -> float:
    """Tell by how much a cost has grown, from 1,000 elements to the most."""
    at = min(FROM, len(costs_us) - 1)
    return max(costs_us[-1], LEAST_US) / max(costs_us[at], LEAST_US)


def grows_faster(curve: Curve) -> bool:
    """Tell whether a command's cost grows faster than Redis' does."""
    return growth_of(curve.us) > GROWTH_MAX * max(1.0, growth_of(curve.redis_us))


def write(growth: Growth) -> None:
    """Keep the figures; write the page and a picture for each kind of value."""
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(growth), indent=0) + b"\n")
    PAGE.write_text("\n".join(_page(growth)), encoding="utf-8")
    for kind in _kinds(growth):
        curves = [curve for curve in growth.curves if curve.kind == kind]
        picture(kind).write_text("\n".join(_picture(kind, growth.sizes, curves)), encoding="utf-8")


def kept() -> Growth:
    """Read the figures that were kept last."""
    return msgspec.json.decode(FIGURES.read_bytes(), type=Growth)


def picture(kind: str) -> Path:
    """Name the picture of a kind of value."""
    return DOCS / f"growth-{kind.replace(' ', '-')}.svg"


def _kinds(growth: Growth) -> list[str]:
    return list(dict.fromkeys(curve.kind for curve in growth.curves))


def _page(growth: Growth) -> Iterator[str]:
    yield from (
        "# How costs grow with the size of a value",
        "",
        "What commands on a part of a value cost, by the number of its elements (of a string: hundreds of bytes), in",
        f"microseconds of CPU time: redis-server {growth.redis} / respcache ({growth.build}, one node). Measured on",
        f"{growth.measured} by `task bench:growth -- --write`, which also writes this page; medians, on a small",
        "virtual machine that other programs were using too. The column *grows* says by how much each has grown from",
        "1,000 elements to the most. The column *longest* is the most that one of a hundred calls, made one by one on",
        "the largest value, took: the longest turn of the event loop.",
        "",
    )
    faster = [f"`{curve.name}`" for curve in growth.curves if grows_faster(curve)]
    slow = [f"`{curve.name}`" for curve in growth.curves if curve.longest_us > TURN_MAX_US]
    yield f"Growing more than {GROWTH_MAX:.0f} times as much as Redis': {', '.join(faster) or 'none'}. "
    yield f"Longer than {TURN_MAX_US // 1000} ms: {', '.join(slow) or 'none'}."
    yield from ("", *NOTES)
    for kind in _kinds(growth):
        yield from ("", f"## {kind.capitalize()}", "", f"![{kind}]({picture(kind).name})", "")
        yield f"| | {' | '.join(f'{size:,}' for size in growth.sizes)} | grows | longest |"
        yield "|---" * (3 + len(growth.sizes)) + "|"
        for curve in growth.curves:
            if curve.kind == kind:
                yield _row(curve)
    yield ""


def _row(curve: Curve) -> str:
    costs = (f"{_short(one)} / {_short(other)}" for one, other in zip(curve.redis_us, curve.us, strict=True))
    grown = f"{growth_of(curve.redis_us):.1f} / {growth_of(curve.us):.1f}"
    longest = f"{_short(curve.redis_longest_us)} / {_short(curve.longest_us)}"
    return f"| {curve.name} | {' | '.join(costs)} | {grown} | {longest} |"


def _short(cost_us: float) -> str:
    return f"{cost_us:,.0f}" if cost_us >= 10 else f"{cost_us:.1f}"


def _picture(kind: str, sizes: list[int], curves: list[Curve]) -> Iterator[str]:
    """Draw a small plot for each command, both scales logarithmic."""
    rows = math.ceil(len(curves) / COLUMNS)
    width, height = COLUMNS * CELL[0], rows * CELL[1] + 24
    size = f'viewBox="0 0 {width} {height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="10">'
    yield f"<title>Commands on a {kind}: CPU time by the number of elements</title>"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    for place, curve in enumerate(curves):
        left, top = place % COLUMNS * CELL[0], place // COLUMNS * CELL[1]
        yield f'<g transform="translate({left} {top})">'
        yield from _plot(curve, sizes)
        yield "</g>"
    yield f'<text x="{PLOT[0]}" y="{height - 8}">CPU microseconds by elements:</text>'
    yield f'<text x="{PLOT[0] + 160}" y="{height - 8}" fill="{OURS}">respcache</text>'
    yield f'<text x="{PLOT[0] + 220}" y="{height - 8}" fill="{REDIS}">redis-server</text>'
    yield from ("</svg>", "")


def _plot(curve: Curve, sizes: list[int]) -> Iterator[str]:
    left, top, width, height = PLOT
    yield f'<text x="{left}" y="{top - 8}" font-size="12">{curve.name}</text>'
    for decade in DECADES:
        down = _down(decade)
        yield f'<path d="M{left} {down}h{width}" stroke="#dde"/>'
        yield f'<text x="{left - 4}" y="{down + 3}" text-anchor="end">{_decade(decade)}</text>'
    for size in (sizes[0], sizes[-1]):
        yield f'<text x="{_across(size, sizes)}" y="{top + height + 14}" text-anchor="middle">{_decade(size)}</text>'
    for costs_us, colour in ((curve.redis_us, REDIS), (curve.us, OURS)):
        points = " ".join(f"{_across(size, sizes)},{_down(cost)}" for size, cost in zip(sizes, costs_us, strict=True))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _across(size: int, sizes: list[int]) -> float:
    return round(PLOT[0] + PLOT[2] * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]), 1)


def _down(cost_us: float) -> float:
    share = math.log10(max(cost_us, DECADES[0])) / math.log10(DECADES[-1])
    return round(PLOT[1] + PLOT[3] * (1 - share), 1)


def _decade(number: int) -> str:
    if number >= 1_000_000:
        return f"{number // 1_000_000}M"
    return f"{number // 1_000}k" if number >= 1_000 else str(number)
