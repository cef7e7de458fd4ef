"""Cuts the network between nodes of one process, and mends it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

from respcache.cluster.membership import Address
from respcache.net.links import Link, Links
from respcache.node import Node


@contextmanager
def cut(one_side: Sequence[Node], other_side: Sequence[Node]) -> Iterator[None]:
    """Let nothing pass between two groups of nodes for the length of a block.

    As with a cable that is pulled, nobody is told: datagrams vanish, what is in a
    connection stays there until the end, new connections cannot be made.
    """
    paused: list[Link] = []
    connect = {node.name: _links(node).connect for node in (*one_side, *other_side)}
    for here, there in [*product(one_side, other_side), *product(other_side, one_side)]:
        paused += _block(here, there)
    try:
        yield
    finally:
        for node in (*one_side, *other_side):
            _unblock(node)
            _links(node).connect = connect[node.name]
        for link in paused:
            if not link._transport.is_closing():
                link._transport.resume_reading()


def _links(node: Node) -> Links:
    assert node._runtime is not None
    return node._runtime.replicator.links


def _block(here: Node, there: Node) -> list[Link]:
    """Keep one node from sending anything to another, or reading what that has sent; return the links concerned."""
    assert here._runtime is not None
    gossip, links = here._runtime.membership._gossip, here._runtime.replicator.links
    put, exchange, connect = gossip._put, gossip._exchange, links.connect
    blocked, name = there.cluster_address, there.name

    def lossy_put(address: Address, datagram: bytes) -> None:
        if address != blocked:
            put(address, datagram)

    async def lossy_exchange(address: Address, payload: bytes) -> None:
        if address != blocked:
            await exchange(address, payload)
        else:
            gossip.perform(gossip.swim.stream_failed(time.monotonic(), address))

    async def lossy_connect(link: Link, host: str, port: int) -> None:
        if (host, port) == blocked:
            raise OSError("the cable is pulled")
        await connect(link, host, port)

    gossip._put = lossy_put  # type: ignore[method-assign] # a node between real sockets, and a cable to pull
    gossip._exchange = lossy_exchange  # type: ignore[method-assign] # the same
    links.connect = lossy_connect  # it is dialled again and again
    link = links.link(name)
    if link is None:
        return []
    link._transport.pause_reading()
    return [link]


def _unblock(node: Node) -> None:
    """Uncover the methods of the classes again."""
    assert node._runtime is not None
    gossip = vars(node._runtime.membership._gossip)
    for instance, name in ((gossip, "_put"), (gossip, "_exchange")):
        instance.pop(name, None)
