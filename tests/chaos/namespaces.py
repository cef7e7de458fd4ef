"""A network of namespaces in which any way from one node to another can be cut.

Each node has a namespace, with a pair of virtual interfaces to a namespace in the middle that
forwards; so has the one that the clients are in. A way is cut where it is forwarded: packets
vanish, and nobody is told. Everything is made by the test and gone afterwards.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Final

CLIENTS: Final = 250
"""The place of the clients; nodes have 1 and up."""
ROUTER_SUFFIX: Final = "r"


def missing() -> str:
    """Say what this machine lacks for it; empty if nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip`"
    name = f"rc{os.getpid()}t"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespace can be made: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Network:
    """So many places, each at its own address, all in reach of each other until ways are cut."""

    def __init__(self, places: Iterable[int]) -> None:
        self._name: Final = f"rc{os.getpid()}"
        self._router: Final = self._name + ROUTER_SUFFIX
        self._cut: set[tuple[int, int]] = set()
        _ip("netns", "add", self._router)
        self._made = [self._router]
        _ip("-n", self._router, "link", "set", "lo", "up")
        for name in ("ip_forward", "conf/all/rp_filter", "conf/default/rp_filter"):
            value = "1" if name == "ip_forward" else "0"
            _ip("netns", "exec", self._router, "sysctl", "-qw", f"net/ipv4/{name}={value}")
        for place in places:
            self._attach(place)

    def address(self, place: int) -> str:
        """Give the address of a place."""
        return f"10.231.{place}.1"

    def inside(self, place: int) -> list[str]:
        """Give the words that run a command at a place."""
        return ["ip", "netns", "exec", self._namespace(place)]

    def cut(self, ways: Iterable[tuple[int, int]]) -> None:
        """Let nothing pass from one place to another, for each of these pairs."""
        for one, other in ways:
            if (one, other) not in self._cut:
                self._cut.add((one, other))
                _ip("-n", self._router, "rule", "add", *self._rule(one, other))

    def heal(self) -> None:
        """Let everything pass again."""
        for one, other in self._cut:
            _ip("-n", self._router, "rule", "del", *self._rule(one, other))
        self._cut.clear()

    @contextmanager
    def entered(self, place: int) -> Iterator[None]:
        """Be at a place for the length of a block: this thread's new sockets and processes are there."""
        with open("/proc/thread-self/ns/net", "rb") as before:  # noqa: PTH123 # a descriptor is what is wanted
            _enter(f"/run/netns/{self._namespace(place)}")
            try:
                yield
            finally:
                _set_namespace(before.fileno())

    def close(self) -> None:
        """Take it all down."""
        for namespace in self._made:
            _ip("netns", "del", namespace)
        self._made.clear()

    def _namespace(self, place: int) -> str:
        return f"{self._name}n{place}"

    def _rule(self, one: int, other: int) -> list[str]:
        return ["from", self.address(one), "to", self.address(other), "blackhole"]

    def _attach(self, place: int) -> None:
        namespace = self._namespace(place)
        _ip("netns", "add", namespace)
        self._made.append(namespace)
        near, far = "eth0", f"v{place}"
        _ip("-n", self._router, "link", "add", far, "type", "veth", "peer", "name", near, "netns", namespace)
        _ip("-n", self._router, "addr", "add", f"10.231.{place}.254/24", "dev", far)
        _ip("-n", self._router, "link", "set", far, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "addr", "add", f"{self.address(place)}/24", "dev", near)
        _ip("-n", namespace, "link", "set", near, "up")
        _ip("-n", namespace, "route", "add", "default", "via", f"10.231.{place}.254")


@contextmanager
def network(places: Iterable[int]) -> Iterator[Network]:
    """Have a network for the length of a block."""
    made = Network(places)
    try:
        yield made
    finally:
        made.close()


def between(one_side: Iterable[int], other_side: Iterable[int]) -> list[tuple[int, int]]:
    """List the ways between two groups, both directions."""
    others = list(other_side)
    return [way for one in one_side for other in others for way in ((one, other), (other, one))]


def shapes(count: int) -> dict[str, list[tuple[int, int]]]:
    """List the ways that are cut in each shape of a partition of nodes 1 to `count`, of which the last is cut off.

    In `one-way` the last node hears the others and is not heard; in `bridge` both halves hear
    one node that hears both; in `ring` each hears its two neighbours only.
    """
    nodes = range(1, count + 1)
    half = count // 2 + 1
    ring = {(one, one % count + 1) for one in nodes} | {(one % count + 1, one) for one in nodes}
    return {
        "halves": between(nodes[:half], nodes[half:]),
        "isolated": between(nodes[:-1], nodes[-1:]),
        "bridge": between(nodes[: count // 2], nodes[count // 2 + 1 :]),
        "one-way": [(count, other) for other in nodes[:-1]],
        "ring": [way for way in permutations(nodes, 2) if way not in ring],
    }


def _enter(path: str) -> None:
    with open(path, "rb") as namespace:  # noqa: PTH123 # a descriptor is what is wanted
        _set_namespace(namespace.fileno())


def _set_namespace(descriptor: int) -> None:
    """Move this thread to another network namespace; os.setns comes with Python 3.12 only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns failed")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert not done.returncode, f"ip {' '.join(words)}: {done.stderr}"
