"""What LATENCY GRAPH and LATENCY DOCTOR show to people."""

from statistics import fmean
from typing import Final

from respcache.latency import COMMAND, EVICTION_CYCLE, EXPIRE_CYCLE, FAST_COMMAND, History, Spike

COLUMNS: Final = 80
ROWS: Final = 4
TOPS: Final = "_o#"
"""How high a column reaches into its topmost row."""
UNITS_S: Final = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))

ADVICE: Final = {
    COMMAND: "Look at SLOWLOG GET for the commands, and at LATENCY HISTOGRAM for how often they take that long.",
    FAST_COMMAND: "Fast commands take long when something else has the processor: other processes, swapping, or a "
    "virtual machine that is not scheduled.",
    EXPIRE_CYCLE: "Many keys expire at the same time: give their deadlines some random spread.",
    EVICTION_CYCLE: "Much is written while memory is short: raise maxmemory, or add nodes.",
}
"""What to do about spikes, by kind of work."""


def graph(event: str, history: History, now_unix_s: int) -> str:
    """Draw the spikes as columns, each with its age below, as Redis does."""
    spikes = list(history.spikes)
    durations = [spike.duration_ms for spike in spikes]
    head = f"{event} - high {max(durations)} ms, low {min(durations)} ms (all time high {history.longest_ms} ms)\n"
    parts = [head, "-" * COLUMNS, "\n"]
    low, span = min(durations), max(durations) - min(durations)
    for start in range(0, len(spikes), COLUMNS):
        if start:
            parts.append("\n")
        parts += _columns(spikes[start : start + COLUMNS], low, span, now_unix_s)
    return "".join(parts)


def _columns(spikes: list[Spike], low: int, span: int, now_unix_s: int) -> list[str]:
    """Draw some of the spikes, line by line."""
    steps = len(TOPS) * ROWS
    heights = [min((spike.duration_ms - low) * steps // span if span else 0, steps - 1) for spike in spikes]
    lines = [[_cell(height, row) for height in heights] for row in range(ROWS - 1, -1, -1)]
    ages = [_age(max(0, now_unix_s - spike.at_unix_s)) for spike in spikes]
    depth = max(map(len, ages))
    lines.append([" "] * len(spikes))
    lines += [[age[place] if place < len(age) else " " for age in ages] for place in range(depth)]
    return ["".join(line) + "\n" for line in lines]


def _cell(height: int, row: int) -> str:
    top, part = divmod(height, len(TOPS))
    return TOPS[part] if row == top else "|" if row < top else " "


def _age(age_s: int) -> str:
    size_s, unit = next(((size_s, unit) for size_s, unit in UNITS_S if age_s >= size_s), UNITS_S[-1])
    return f"{age_s // size_s}{unit}"


def diagnosis(threshold_ms: int, histories: dict[str, History]) -> str:
    """Say how often work took long, and what to do about it."""
    if not threshold_ms and not histories:
        return (
            "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> has this node note what "
            "takes longer.\n"
        )
    if not histories:
        return f"Nothing has taken as long as {threshold_ms} ms since this node began to note it.\n"
    lines = ["Work that held this node up:\n"]
    for number, (event, history) in enumerate(histories.items(), 1):
        lines.append(f"{number}. {event}: {_summary(history)}")
    lines.append("\nWhat to do:\n")
    lines += [f"- {ADVICE[event]}" for event in histories]
    return "\n".join(lines) + "\n"


def _summary(history: History) -> str:
    spikes = list(history.spikes)
    mean_ms = fmean(spike.duration_ms for spike in spikes)
    deviation_ms = fmean(abs(spike.duration_ms - mean_ms) for spike in spikes)
    period_s = (spikes[-1].at_unix_s - spikes[0].at_unix_s) / (len(spikes) - 1) if len(spikes) > 1 else 0.0
    return (
        f"{len(spikes)} latency spikes (average {mean_ms:.0f} ms, mean deviation {deviation_ms:.0f} ms, "
        f"period {period_s:.2f} s). Worst of all: {history.longest_ms} ms."
    )
