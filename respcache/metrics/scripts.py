"""The metrics of scripts, a section of the catalogue."""

from typing import Final

from respcache.metrics.metric import Section, by, counter, counters, gauge

SCRIPTS: Final = Section(
    "Scripts",
    (
        gauge(
            "scripts",
            "Scripts that this node knows.",
            lambda now: len(now.sources.scripts.library),
        ),
        gauge(
            "scripts_bytes",
            "What these count for. Beyond the setting lua-scripts-max those go that were not used for longest.",
            lambda now: now.sources.scripts.library.size_bytes,
        ),
        gauge(
            "functions",
            "Functions that this node knows.",
            lambda now: len(now.sources.scripts.functions),
        ),
        gauge(
            "functions_bytes",
            "What their libraries count for. Beyond the setting lua-scripts-max none can be loaded.",
            lambda now: now.sources.scripts.functions.size_bytes,
        ),
        gauge(
            "functions_memory_bytes",
            "What Lua has allocated for functions (see lua-memory-max).",
            lambda now: now.sources.scripts.functions_memory_bytes,
        ),
        counter(
            "scripts_evicted_total",
            "Scripts that went because there was no room; EVALSHA answers NOSCRIPT then.",
            lambda now: now.sources.scripts.library.evicted,
        ),
        gauge(
            "scripts_memory_bytes",
            "What Lua has allocated, for scripts that run and for those that are known (see lua-memory-max).",
            lambda now: now.sources.scripts.memory_bytes,
        ),
        counters(
            "scripts_ended_total",
            "Scripts that were ended: by SCRIPT KILL or FUNCTION KILL, or because they or their replies took too "
            "much memory (see lua-memory-max), or too much time where they cannot be killed (without greenlet).",
            {"reason": "killed, memory, reply, time"},
            lambda now: by(now.sources.scripts.ended),
        ),
    ),
)
