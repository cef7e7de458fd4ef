"""Measures what docs/membership.md prints, and leaves it in docs/membership.json: `task sim:figures`.

    task sim:figures             all sizes, up to 10,000 nodes: half an hour and 2 GB
    task sim:figures -- 1000     no cluster above 1,000 nodes; larger figures stay as they were

docs/generate.py makes tables and a plot of it.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from respcache.cluster.membership import LAN, PROFILES
from simulation.membership import measure

FILE: Final = Path(__file__).parents[3] / "docs" / "membership.json"
RUMORS: Final = ((10, 20), (100, 20), (1_000, 5), (10_000, 1))
"""Sizes, and runs of each."""
DEATHS: Final = ((3, 400), (10, 200), (100, 40))
COSTS: Final = ((3, 60.0), (10, 60.0), (100, 20.0), (1_000, 10.0), (10_000, 3.0))
"""Sizes, and virtual seconds of each."""
RESTARTS: Final = (("local", 5), ("local", 100), ("lan", 5), ("lan", 100), ("lan", 1_000))

Rows = list[dict[str, object]]


def rumors(largest: int) -> Rows:
    """Measure how long news takes."""
    rows: Rows = []
    for count, runs in RUMORS:
        if count <= largest:
            taken_s = [measure.rumor_s(count, seed) for seed in range(runs)]
            rows.append({"nodes": count, "runs": runs, "mean_s": statistics.mean(taken_s), "most_s": max(taken_s)})
    return rows


def deaths(largest: int) -> Rows:
    """Measure how soon deaths are noticed."""
    rows: Rows = []
    for environment in ("local", "lan"):
        for count, runs in DEATHS:
            if count <= largest:
                found = measure.detection(PROFILES[environment], count, 7, deaths=runs)
                assert not found.wrong
                assert not found.unnoticed
                verdicts = sorted(found.dead_s)
                rows.append(
                    {
                        "environment": environment,
                        "nodes": count,
                        "runs": runs,
                        "first_intervals": statistics.mean(found.first_periods),
                        "half_s": statistics.median(verdicts),
                        "nearly_all_s": verdicts[int(0.99 * len(verdicts))],
                    }
                )
    return rows


def costs(largest: int) -> Rows:
    """Measure what an idle node costs."""
    return [
        {
            "nodes": count,
            **asdict(measure.idle_cost(LAN, count, 1, duration_s=duration_s)),
            "memberlist_bytes": measure.memberlist_bytes(count),
        }
        for count, duration_s in COSTS
        if count <= largest
    ]


def healing(largest: int) -> Rows:
    """Measure how trouble ends."""
    false = measure.false_deaths(LAN, 100, 1, duration_s=20)
    plain = measure.false_deaths(measure.without_lifeguard(LAN), 100, 1, duration_s=20)
    restarts: Rows = [
        {
            "what": f"{count:,} nodes, all restarted at once on `{environment}`, see each other",
            "figure": f"{measure.restarted_s(PROFILES[environment], count, 3):.1f} s",
        }
        for environment, count in RESTARTS
        if count <= largest
    ]
    return [
        {"what": "verdicts of death on healthy nodes, of 100 of which four stall for 20 s", "figure": f"{false}"},
        {"what": "the same without Lifeguard", "figure": f"{plain:,}"},
        {
            "what": "20 nodes, split into halves for 10 minutes, are one again",
            "figure": f"{measure.split_healed_s(LAN, 20, 1, apart_s=600):.1f} s",
        },
        {
            "what": "100 nodes, split into halves for a minute, are one again",
            "figure": f"{measure.split_healed_s(LAN, 100, 1, apart_s=60):.1f} s",
        },
        *restarts,
        {
            "what": "members missed after one sync by 20 nodes that join while a quarter of packets is lost, 10 runs",
            "figure": f"{sum(measure.missed_under_loss(LAN, 20, seed, loss=0.25) for seed in range(10))}",
        },
    ]


MEASURED: Final[dict[str, Callable[[int], Rows]]] = {
    "costs": costs,
    "rumors": rumors,
    "deaths": deaths,
    "healing": healing,
}


def main(arguments: Sequence[str]) -> None:
    """Measure, and write after each part."""
    largest = int(arguments[0]) if arguments else 10_000
    figures: dict[str, Rows] = msgspec.json.decode(FILE.read_bytes()) if FILE.exists() else {}
    for name, measured in MEASURED.items():
        kept = [row for row in figures.get(name, []) if int(str(row.get("nodes", 0))) > largest]
        figures[name] = _rounded(measured(largest)) + kept
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
        sys.stdout.write(f"{name} measured\n")


def _rounded(rows: Rows) -> Rows:
    return [{key: float(f"{it:.3g}") if isinstance(it, float) else it for key, it in row.items()} for row in rows]


if __name__ == "__main__":
    main(sys.argv[1:])
