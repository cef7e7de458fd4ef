"""The metrics of publish and subscribe, a section of the catalogue."""

from typing import Final

from respcache.metrics.metric import Section, by, counter, counters, gauge

PUBSUB: Final = Section(
    "Publish and subscribe",
    (
        gauge(
            "pubsub_channels",
            "Channels, sharded ones and patterns that clients of this node listen to.",
            lambda now: sum(now.sources.exchange.audiences.names_here),
        ),
        gauge(
            "pubsub_subscriptions",
            "Subscriptions of clients of this node: each client counts once for each channel or pattern.",
            lambda now: now.sources.exchange.audiences.subscriptions,
        ),
        gauge(
            "pubsub_memory_bytes",
            "What these take, estimated. Beyond the setting pubsub-memory-max further ones are refused.",
            lambda now: now.sources.exchange.audiences.memory_bytes,
        ),
        counter(
            "pubsub_published_total",
            "Messages that clients of this node have published.",
            lambda now: now.sources.exchange.published,
        ),
        counter(
            "pubsub_delivered_total",
            "Messages to clients of this node, once for each subscription that they were for.",
            lambda now: now.sources.exchange.delivered,
        ),
        counters(
            "pubsub_relayed_total",
            "Messages between nodes, once for each pair of nodes.",
            {"direction": "out, in"},
            lambda now: by({"out": now.sources.exchange.sent, "in": now.sources.exchange.received}),
        ),
    ),
)
