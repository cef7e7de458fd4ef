"""Writes the parts of the documentation that the program knows best: `python docs/generate.py`.

The table of commands in README.md, between its two markers, is made of the command table;
docs/metrics.md of the catalogue of metrics; the tables in docs/reliability.md of what
`task chaos` measured, which it leaves in docs/reliability.json; those in docs/membership.md, and
its plot, of the profiles and of what `task sim:figures` left in docs/membership.json; the table of
speeds in README.md of what `task bench -- --write` left in docs/speed.json. With
`--check` nothing is written, and what is out of date is an error.
"""

import math
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from respcache.cli.flags import field_docs
from respcache.cluster.membership import PROFILES, GossipConfig
from respcache.commands.families import ROWS
from respcache.commands.registry import Command
from respcache.metrics import reference
from respcache.options import OPTIONS, by_key

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
METRICS: Final = ROOT / "docs" / "metrics.md"
RELIABILITY: Final = ROOT / "docs" / "reliability.md"
FIGURES: Final = ROOT / "docs" / "reliability.json"
MEMBERSHIP: Final = ROOT / "docs" / "membership.md"
MEMBERSHIP_FIGURES: Final = ROOT / "docs" / "membership.json"
MEMBERSHIP_PLOT: Final = ROOT / "docs" / "membership-cost.svg"
AWARE: Final = "aware clients"
"""In the names of servers: the load is of clients that know the cluster protocol."""
ONE: Final = "respcache, 1 node"
THREE: Final = "respcache, 3 nodes, 2 copies"
ONE_AWARE: Final = f"{ONE}, {AWARE}"
THREE_AWARE: Final = f"{THREE}, {AWARE}"
SPEEDS: Final = ROOT / "docs" / "speed.json"
BEGIN: Final = "<!-- {}: begin (written by docs/generate.py) -->\n"
END: Final = "<!-- {}: end -->\n"

PROMISES: Final = (1, 2, 3, 4, 5)
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


class Cost(msgspec.Struct, frozen=True):
    """What an idle node costs per second, and what memberlist would send."""

    nodes: int
    datagrams: float
    bytes: float
    cpu_s: float
    memberlist_bytes: float


class Rumor(msgspec.Struct, frozen=True):
    """How long news takes to 99 % of the nodes."""

    nodes: int
    runs: int
    mean_s: float
    most_s: float


class Death(msgspec.Struct, frozen=True):
    """How soon deaths are noticed."""

    environment: str
    nodes: int
    runs: int
    first_intervals: float
    half_s: float
    nearly_all_s: float


class Healing(msgspec.Struct, frozen=True):
    """How some trouble ends."""

    what: str
    figure: str


class Membership(msgspec.Struct, frozen=True):
    """All that was measured of the membership protocol."""

    costs: list[Cost]
    rumors: list[Rumor]
    deaths: list[Death]
    healing: list[Healing]


class Speed(msgspec.Struct, frozen=True):
    """What one command costs."""

    command: str
    depth: int
    """How many are sent at once."""
    cpu_us: dict[str, float]
    """Microseconds of CPU time, by server: redis-server first, then one node, then three."""


class Throughput(msgspec.Struct, frozen=True):
    """How many commands a second three nodes with two copies answer on two cores, which they share with the load."""

    command: str
    depth: int
    per_s: float
    olric_per_s: float
    """What Olric does."""


class Speeds(msgspec.Struct, frozen=True):
    """All that was measured of speed and memory."""

    measured: str
    """The day."""
    build: str
    redis: str
    """The version."""
    rounds: int
    speeds: list[Speed]
    memory_bytes: dict[str, float]
    """Per key, by server, as above."""
    throughput: list[Throughput] = []
    """None where it was not measured."""


def speed_table(figures: Speeds) -> str:
    """Write how many times Redis' CPU time each command takes, by the number that is sent at once."""
    depths = sorted({speed.depth for speed in figures.speeds})
    servers = list(figures.speeds[0].cpu_us)[1:]
    redis, one, *_ = figures.memory_bytes.values()
    lines = [
        f"| | {' | '.join('one by one' if depth == 1 else f'{depth} at once' for depth in depths)} |",
        "|---" * (1 + len(depths)) + "|",
    ]
    for server in (server for server in servers if AWARE not in server):
        for command in dict.fromkeys(speed.command for speed in figures.speeds if server in speed.cpu_us):
            found = {speed.depth: _times(speed, server) for speed in figures.speeds if speed.command == command}
            where = "" if server == servers[0] else f", {server.removeprefix('respcache, ')}"
            lines.append(f"| {command}{where} | {' | '.join(found.get(depth, '') for depth in depths)} |")
    lines += [
        "",
        f"Measured on {figures.measured}, {figures.build}, beside redis-server {figures.redis};",
        f"{_rounds(figures.rounds)}. A million 64-byte values take {one / redis:.2f} times Redis' memory.",
        "",
        *aware_table(figures.speeds),
        *throughput_table(figures.throughput),
    ]
    return "\n".join(lines)


def aware_table(speeds: list[Speed]) -> list[str]:
    """Write how many times one node's CPU time a cluster takes for the same load, by what its clients know of it."""
    rows: dict[str, dict[int, str]] = {}
    for speed in speeds:
        for clients, one, three in ((AWARE, ONE_AWARE, THREE_AWARE), ("plain clients of one node", ONE, THREE)):
            one_us, three_us = speed.cpu_us.get(one), speed.cpu_us.get(three)
            if THREE_AWARE in speed.cpu_us and one_us is not None and three_us is not None:
                rows.setdefault(f"{speed.command}, {clients}", {})[speed.depth] = f"{three_us / one_us:.1f}"
    if not rows:
        return []
    depths = list(next(iter(rows.values())))
    return [
        "Three nodes with two copies take so many times the CPU time of *one node*, all of them together, for the same",
        "load. Clients that are aware of the cluster spare it the relaying of two commands in three:",
        "",
        f"| | {' | '.join('one by one' if depth == 1 else f'{depth} at once' for depth in depths)} |",
        "|---" * (1 + len(depths)) + "|",
        *[f"| {command} | {' | '.join(row.values())} |" for command, row in sorted(rows.items(), reverse=True)],
        "",
    ]


def throughput_table(throughput: list[Throughput]) -> list[str]:
    """Write how many commands a second a cluster answers, beside what Olric does; nothing if it was not measured."""
    if not throughput:
        return []
    rows = [
        f"| {one.command}, {'one by one' if one.depth == 1 else f'{one.depth} at once'} "
        f"| {one.per_s:,.0f} | {one.olric_per_s:,.0f} |"
        for one in throughput
    ]
    return [
        "Commands a second of three nodes with two copies, by 50 clients of one node, all of them on two cores; for",
        "orientation beside what Olric does in the same way:",
        "",
        "| | respcache | Olric |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _rounds(count: int) -> str:
    return "one round" if count == 1 else f"medians of {count} rounds"


def _times(speed: Speed, server: str) -> str:
    return f"{speed.cpu_us[server] / next(iter(speed.cpu_us.values())):.1f}"


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


def settings_table() -> str:
    """Write the numbers of the failure detector: what they are in each environment, and what they do."""
    docs = field_docs(GossipConfig)
    rows = [f"| `[gossip]` | {' | '.join(f'`{name}`' for name in PROFILES)} | |", "|---" * (2 + len(PROFILES)) + "|"]
    for option in OPTIONS:
        if option.section == "gossip":
            values = (f"{getattr(profile, option.field):.4g}" for profile in PROFILES.values())
            rows.append(f"| `{option.key}` | {' | '.join(values)} | {by_key(docs[option.field], 'gossip')} |")
    return "\n".join([*rows, ""])


def measured_tables(figures: Membership) -> str:
    """Write how soon deaths and news are known, and how trouble ends."""
    return "\n".join(
        [
            "| a node dies | first suspected, in probe intervals | half of the others hold it dead | 99 % do | runs |",
            "|---|---|---|---|---|",
            *(
                f"| `{each.environment}`, {each.nodes} nodes | {each.first_intervals:.2f} | {each.half_s:.2f} s "
                f"| {each.nearly_all_s:.2f} s | {each.runs} |"
                for each in figures.deaths
            ),
            "",
            "| news reaches 99 % of | in the mean | at most | runs |",
            "|---|---|---|---|",
            *(
                f"| {each.nodes:,} nodes | {each.mean_s:.2f} s | {each.most_s:.2f} s | {each.runs} |"
                for each in figures.rumors
            ),
            "",
            "| | |",
            "|---|---|",
            *(f"| {each.what} | {each.figure} |" for each in figures.healing),
            "",
        ]
    )


def cost_table(costs: list[Cost]) -> str:
    """Write what an idle node costs."""
    return "\n".join(
        [
            "| nodes | datagrams a second | bytes a second | CPU time a second | memberlist, bytes a second |",
            "|---|---|---|---|---|",
            *(
                f"| {each.nodes:,} | {each.datagrams:.1f} | {each.bytes:.0f} | {1e3 * each.cpu_s:.2f} ms "
                f"| {each.memberlist_bytes:,.0f} |"
                for each in costs
            ),
            "",
        ]
    )


def cost_plot(costs: list[Cost]) -> str:
    """Draw bytes by nodes, both on logarithmic scales."""
    left, top, width, height = 70, 30, 560, 240
    most = 10_000

    def place(nodes: float, size: float) -> str:
        across = left + width * math.log10(nodes) / math.log10(most)
        return f"{across:.1f},{top + height - height * math.log10(size / 10) / math.log10(most / 10):.1f}"

    def line(points: list[str], colour: str) -> list[str]:
        dots = (point.split(",") for point in points)
        return [
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(f'<circle cx="{across}" cy="{down}" r="3.5" fill="{colour}"/>' for across, down in dots),
        ]

    def label(point: str, text: str, shift: tuple[int, int], anchor: str = "middle") -> str:
        across, down = map(float, point.split(","))
        return f'<text x="{across + shift[0]:.1f}" y="{down + shift[1]:.1f}" text-anchor="{anchor}">{text}</text>'

    decades = (1, 10, 100, 1_000, 10_000)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 320" font-family="sans-serif" font-size="13">',
        "<title>Bytes a second that an idle node sends, by the number of nodes</title>",
        '<rect width="760" height="320" fill="#ffffff"/>',
        *(f'<polyline points="{place(each, 10)} {place(each, most)}" stroke="#dde"/>' for each in decades),
        *(f'<polyline points="{place(1, each)} {place(most, each)}" stroke="#dde"/>' for each in decades[1:]),
        *(label(place(each, 10), f"{each:,}", (0, 18)) for each in decades),
        *(label(place(1, each), f"{each:,}", (-8, 4), "end") for each in decades[1:]),
        *line([place(each.nodes, each.bytes) for each in costs], "#2563a8"),
        *line([place(each.nodes, each.memberlist_bytes) for each in costs], "#b3541e"),
        label(place(costs[-1].nodes, costs[-1].bytes), "respcache", (12, 4), "start"),
        label(place(costs[-1].nodes, costs[-1].memberlist_bytes), "memberlist", (12, 4), "start"),
        label(place(100, 10), "nodes", (0, 36)),
        label(place(1, most), "bytes a second", (-8, -14), "start"),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def membership_page(figures: Membership) -> str:
    """Put all generated parts of docs/membership.md in their places."""
    text = MEMBERSHIP.read_text(encoding="utf-8")
    text = put(text, "measured", measured_tables(figures))
    text = put(text, "costs", cost_table(figures.costs))
    return put(text, "settings", settings_table())


def between_marks(path: Path, name: str, part: str) -> str:
    """Return the text of a page with what lies between two markers replaced. Raises ValueError unless it has both."""
    return put(path.read_text(encoding="utf-8"), name, part)


def put(text: str, name: str, part: str) -> str:
    """Replace what lies between two markers. Raises ValueError unless both are there."""
    begin, end = BEGIN.format(name), END.format(name)
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"a page lacks the line {begin if not found_begin else end}")
    return f"{before}{begin}\n{part}\n{end}{after}"


def main(*, check: bool) -> int:
    """Write the pages, or name those that are out of date; return the exit status."""
    figures = msgspec.json.decode(FIGURES.read_bytes(), type=dict[str, Scenario])
    membership = msgspec.json.decode(MEMBERSHIP_FIGURES.read_bytes(), type=Membership)
    speeds = msgspec.json.decode(SPEEDS.read_bytes(), type=Speeds)
    pages = {
        README: put(between_marks(README, "commands", command_table()), "speeds", speed_table(speeds)),
        METRICS: reference.page(),
        MEMBERSHIP: membership_page(membership),
        MEMBERSHIP_PLOT: cost_plot(membership.costs),
        RELIABILITY: between_marks(RELIABILITY, "figures", figure_tables(figures)),
    }
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check=sys.argv[1:] == ["--check"]))
