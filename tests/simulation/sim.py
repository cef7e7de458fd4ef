"""Runs scenarios of the simulator by hand: `task sim -- storm 17`.

task sim                     names the scenarios
task sim -- storm 17         runs one of them with one seed, and tells what happened when
task sim -- storm 0 2000     runs it with 2,000 seeds from 0 on
task sim -- all 0 500        runs all of them
task sim -- test_xyz 17      runs a simulated test with one seed
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Final

from simulation.membership.scenarios import SCENARIOS, Run, play
from simulation.network import Happening

ALL: Final = "all"


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status."""
    match arguments:
        case [name, seed] if name.startswith("test_"):
            return _pytest(name, seed)
        case [name] if name in SCENARIOS or name == ALL:
            return _several(_named(name), range(500))
        case [name, seed] if name in SCENARIOS and seed.isdecimal():
            return _one(name, int(seed))
        case [name, first, count] if (name in SCENARIOS or name == ALL) and first.isdecimal() and count.isdecimal():
            return _several(_named(name), range(int(first), int(first) + int(count)))
        case _:
            sys.stdout.write(f"{__doc__}\n")
            for name, scenario in SCENARIOS.items():
                sys.stdout.write(f"{name:12} {scenario.__doc__}\n")
            return 2 if arguments else 0


def _named(name: str) -> list[str]:
    return list(SCENARIOS) if name == ALL else [name]


def _one(name: str, seed: int) -> int:
    """Run one scenario with one seed, and tell its story."""
    run = Run(seed)
    failed = _failed(name, seed, run)
    sys.stdout.writelines(f"{line}\n" for line in timeline(run.story))
    return failed


def _several(names: Iterable[str], seeds: range) -> int:
    failures = 0
    for name in names:
        failed = sum(_failed(name, seed) for seed in seeds)
        sys.stdout.write(f"{name}: {len(seeds)} seeds, {failed} failed\n")
        failures += failed
    return 1 if failures else 0


def _failed(name: str, seed: int, run: Run | None = None) -> int:
    """Run a scenario; a failure is written in full, with the line that replays it."""
    try:
        play(name, seed, run)
    except Exception:  # noqa: BLE001 # whatever it is, the run has failed and the next seed is to follow
        sys.stdout.write(traceback.format_exc())
        return 1
    return 0


def timeline(story: Iterable[Happening]) -> list[str]:
    """Write what happened, a line each: virtual time, whose view, what."""
    return [f"{happening.at_s:9.4f} s  {happening.node:4} {happening.event}" for happening in story]


def _pytest(name: str, seed: str) -> int:
    environment = os.environ | {"RESPCACHE_SIM_SEED": seed, "RESPCACHE_SIM_SEEDS": "1"}
    command = [sys.executable, "-m", "pytest", "tests/simulation", "-k", name]
    return subprocess.run(command, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
