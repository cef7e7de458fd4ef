"""The text that Prometheus reads, made piece by piece so that nobody waits long for a scrape."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

SAMPLES_PER_PIECE: Final = 50
"""A piece ends before the family that would bring more samples than this; one family is never cut.

At 10 us a sample, a piece of so many stalls the event loop for less than a millisecond.
"""
OPENMETRICS_END: Final = b"# EOF\n"


@dataclass(frozen=True, slots=True)
class Exposition:
    """A scrape that has begun."""

    content_type: str
    pieces: Iterator[bytes]
    """What is not taken is not computed: other work may be done in between."""


class _Piece(Collector):
    """A few families, in the shape that prometheus_client's encoders take."""

    def __init__(self, families: list[Family]) -> None:
        self._families: Final = families

    def collect(self) -> Iterable[Family]:
        """Give the families."""
        return self._families


def expose(source: Collector, accept: str) -> Exposition:
    """Begin a scrape, in the format that an HTTP Accept header asks for: OpenMetrics or plain text."""
    encode, content_type = choose_encoder(accept)
    ends = content_type.startswith("application/openmetrics-text")

    def pieces() -> Iterator[bytes]:
        for families in _cut(source.collect()):
            yield encode(_Piece(families)).removesuffix(OPENMETRICS_END if ends else b"")
        if ends:
            yield OPENMETRICS_END

    return Exposition(content_type, pieces())


def _cut(families: Iterable[Family]) -> Iterator[list[Family]]:
    piece: list[Family] = []
    samples = 0
    for family in families:
        if piece and samples + len(family.samples) > SAMPLES_PER_PIECE:
            yield piece
            piece, samples = [], 0
        piece.append(family)
        samples += len(family.samples)
    if piece:
        yield piece
