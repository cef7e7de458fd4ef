"""Carries what the exchange has to send: messages to clients, and what nodes tell each other of them."""

import asyncio
from typing import Final, assert_never, cast

from respcache.commands.session import Session
from respcache.net import frames
from respcache.net.links import Links
from respcache.pubsub.exchange import Exchange, Push, Send


class Messenger:
    """Flushes the exchange of one node at the end of each turn of the event loop in which there was something."""

    def __init__(self, exchange: Exchange, links: Links) -> None:
        self.exchange: Final = exchange
        self._links: Final = links
        self._loop: Final = asyncio.get_running_loop()
        exchange.wake = self._wake

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
