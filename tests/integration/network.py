"""Cuts the network between nodes of one process, and mends it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

from respcache.cluster.membership import Address
from respcache.net.links import Link
from respcache.node import Node


@contextmanager
def cut(one_side: Sequence[Node], other_side: Sequence[Node]) -> Iterator[None]:
    """Let nothing pass between two groups of nodes for the length of a block.

    As with a cable that is pulled, nobody is told: datagrams vanish, what is in a
    connection stays there until the end, new connections cannot be made.
    """
    paused: list[Link] = []
    for here, there in [*product(one_side, other_side), *product(other_side, one_side)]:
        paused += _block(here, there)
    try:
        yield
    finally:
        for node in (*one_side, *other_side):
            _unblock(node)
        for link in paused:
            if not link._transport.is_closing():
                link._transport.resume_reading()


def _block(here: Node, there: Node) -> list[Link]:
    """Keep one node from sending anything to another, or reading what that has sent; return the links concerned."""
    assert here._runtime is not None
    gossip, links = here._runtime.membership._gossip, here._runtime.replicator.links
    put, exchange, connect = gossip._put, gossip._exchange, links._connect
    blocked, name = there.cluster_address, there.name

    def lossy_put(address: Address, datagram: bytes) -> None:
        if address != blocked:
            put(address, datagram)

    async def lossy_exchange(address: Address, payload: bytes) -> None:
        if address != blocked:
            await exchange(address, payload)
        else:
            gossip.perform(gossip.swim.stream_failed(time.monotonic(), address))

    async def lossy_connect(peer: str, host: str, port: int) -> Link:
        if peer == name:
            raise OSError("the cable is pulled")
        return await connect(peer, host, port)

    gossip._put = lossy_put  # type: ignore[method-assign] # a node between real sockets, and a cable to pull
    gossip._exchange = lossy_exchange  # type: ignore[method-assign] # the same
    links._connect = lossy_connect  # type: ignore[method-assign, assignment] # the same; it is dialled again and again
    link = links.link(name)
    if link is None:
        return []
    link._transport.pause_reading()
    return [link]


def _unblock(node: Node) -> None:
    """Uncover the methods of the classes again."""
    assert node._runtime is not None
    gossip, links = vars(node._runtime.membership._gossip), vars(node._runtime.replicator.links)
    for instance, name in ((gossip, "_put"), (gossip, "_exchange"), (links, "_connect")):
        instance.pop(name, None)
