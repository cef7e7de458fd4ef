"""Has redis-benchmark take one node for a cluster of several, so that it sends it the same load as it sends a cluster.

As a client that knows the cluster protocol it opens a thread for each node, chooses the keys of a request so that
all belong to one slot, and refuses clusters of a single node. So it is told of several nodes that are all the one.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Thread
from typing import Final

from bench.servers import HOST, Target
from respcache.cluster.ownership.slots import SLOTS

REQUEST_MAX_BYTES: Final = 4096


@contextmanager
def posing(target: Target, name: str, *, nodes: int) -> Iterator[Target]:
    """Give a node a port where it says that it is several, for clients that know the cluster protocol."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        thread = Thread(target=_answer, args=(listener, _nodes(target.port, nodes)), daemon=True)
        thread.start()
        try:
            yield replace(target, name=name, port=port, aware=True)
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _nodes(port: int, count: int) -> bytes:
    """Answer CLUSTER NODES: that many, with as many slots each, and with one address."""
    lines = []
    for number in range(count):
        first, last = SLOTS * number // count, SLOTS * (number + 1) // count - 1
        lines.append(f"{number:040x} {HOST}:{port}@{port} master - 0 0 1 connected {first}-{last}\n")
    text = "".join(lines).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _answer(listener: socket.socket, nodes: bytes) -> None:
    """Answer one client after the other; they ask for nothing but the nodes, and what the node is set to."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client:
                while request := client.recv(REQUEST_MAX_BYTES).upper():
                    client.sendall(nodes if b"NODES" in request else b"*0\r\n" * request.count(b"CONFIG"))
