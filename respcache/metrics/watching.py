"""The metrics of what clients are told without asking for each of it, a section of the catalogue.

Client-side caching, keyspace events and MONITOR; all counted for a turn of the event loop at a time, or when asked.
"""

from typing import Final

from respcache.metrics.metric import Section, counter, gauge

WATCHING: Final = Section(
    "Clients that are told of changes",
    (
        gauge(
            "tracking_clients",
            "Clients of this node that cache what they read and are told when it changes (CLIENT TRACKING).",
            lambda now: len(now.sources.tracking().clients.sessions),
        ),
        gauge(
            "tracking_keys",
            "Keys that these may have. Beyond the setting tracking-table-max-keys the oldest are invalidated.",
            lambda now: len(now.sources.tracking().clients),
        ),
        counter(
            "tracking_invalidations_total",
            "Messages to these that keys are out of date.",
            lambda now: now.sources.tracking().clients.sent,
        ),
        counter(
            "tracking_relayed_total",
            "Messages to other nodes whose clients cache keys of this one.",
            lambda now: now.sources.tracking().told,
        ),
        counter(
            "keyspace_events_total",
            "Keyspace events of keys of this node that were published (notify-keyspace-events).",
            lambda now: now.sources.events(),
        ),
        gauge(
            "monitor_clients",
            "Clients of this node that are shown every command (MONITOR).",
            lambda now: len(now.sources.monitors),
        ),
        counter(
            "monitor_commands_total",
            "Commands that these were shown, each counted once.",
            lambda now: now.sources.monitors.shown,
        ),
    ),
)
