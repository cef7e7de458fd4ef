"""Connections on the cluster port that were cut for what came in over them, or for room: counted, and told of."""

import logging
from typing import Final

from respcache.cluster.sealing.channel import REASONS
from respcache.complaints import Complaints
from respcache.errors import ProtocolError
from respcache.net.crowd import CROWD
from respcache.net.sealed import reason_of


class Rejections:
    """All of them are counted; of what strangers do the log gets a few lines."""

    def __init__(self, log: logging.Logger) -> None:
        self.counts: Final = dict.fromkeys((*REASONS, CROWD), 0)
        """By the reason."""
        self.complaints: Final = Complaints(log)

    def cut(self, problem: ProtocolError, source: str, line: str) -> None:
        """Take note of a connection from `source` that is cut; the line has a place for that, and for the problem."""
        reason = reason_of(problem)
        self.counts[reason] += 1
        self.complaints.warn(reason, source, line, source, problem)

    def crowded_out(self) -> None:
        """Take note of one that has to make room."""
        self.counts[CROWD] += 1
