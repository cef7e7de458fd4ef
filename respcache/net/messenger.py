"""Carries what nodes tell each other for clients: messages that are published, and keys that have changed."""

import asyncio
from typing import Final, assert_never, cast

from respcache.commands.session import Session
from respcache.net import frames
from respcache.net.links import Links
from respcache.pubsub.exchange import Exchange, Push, Send
from respcache.tracking.tracking import Tracking


class Messenger:
    """Flushes the exchange of one node at the end of each turn of the event loop in which there was something."""

    def __init__(self, exchange: Exchange, tracking: Tracking, links: Links) -> None:
        self.exchange: Final = exchange
        self.tracking: Final = tracking
        self._links: Final = links
        self._loop: Final = asyncio.get_running_loop()
        exchange.wake = self._wake

    def connect(self, peer: str) -> None:
        """There is a new link to a node."""
        self.exchange.connect(peer)
        self.tracking.connect(peer)

    def disconnect(self, peer: str) -> None:
        """A link is gone."""
        self.exchange.disconnect(peer)
        self.tracking.disconnect(peer)

    def sweep(self, now_s: float, patience_s: float) -> None:
        """Wait no longer than `patience_s` for what nodes have not answered. To be called several times a second."""
        self.exchange.sweep(now_s, patience_s)
        self.tracking.sweep(now_s, patience_s)

    def _wake(self) -> None:
        self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send all that there is to send."""
        for effect in self.exchange.flush():
            match effect:
                case Push(subscriber, wire):
                    transmit = cast("Session", subscriber).transmit
                    if transmit is not None:
                        transmit(wire)
                case Send(peer, body):
                    link = self._links.link(peer)
                    if link is not None:
                        link.send(frames.PUBSUB, body)
                case _:
                    assert_never(effect)
