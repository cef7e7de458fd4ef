"""Sockets that are bound before anybody listens on them, so that ports are known early."""

import socket
from dataclasses import dataclass
from typing import Final

from respcache.config import CLUSTER_PORT_OFFSET, Config
from respcache.errors import ConfigError

BIND_TRIES: Final = 50
"""A port that is free for TCP may be taken for UDP: another one is tried."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The bound sockets of a node."""

    client: socket.socket
    stream: socket.socket
    """The cluster port, TCP."""
    datagram: socket.socket
    """The cluster port, UDP."""
    http: socket.socket | None

    def close(self) -> None:
        """Give all of them back."""
        for bound in (self.client, self.stream, self.datagram, self.http):
            if bound is not None:
                bound.close()


def bind_ports(config: Config) -> Ports:
    """Bind all ports of a node, or none. Raises ConfigError if one is taken."""
    server, wanted = config.server, config.cluster.port
    if wanted is None:
        wanted = server.port + CLUSTER_PORT_OFFSET if server.port else 0
    taken: list[socket.socket] = []
    try:
        taken.append(bind_stream(server.bind, server.port))
        taken += bind_pair(server.bind, wanted)
        if config.http.enabled:
            taken.append(bind_stream(server.bind, config.http.port))
    except ConfigError:
        for bound in taken:
            bound.close()
        raise
    return Ports(taken[0], taken[1], taken[2], taken[3] if config.http.enabled else None)


def port_of(bound: socket.socket) -> int:
    """Give the number of the port that a socket is bound to."""
    number: int = bound.getsockname()[1]
    return number


def bind_stream(host: str, port: int) -> socket.socket:
    """Bind a TCP socket; port 0 takes any free one. Raises ConfigError if the port is taken."""
    return _bind(socket.SOCK_STREAM, host, port)


def bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Bind TCP and UDP to one port number; port 0 takes any that is free for both. Raises ConfigError."""
    for attempt in range(BIND_TRIES):
        stream = bind_stream(host, port)
        try:
            return stream, _bind(socket.SOCK_DGRAM, host, stream.getsockname()[1])
        except ConfigError:
            stream.close()
            if port or attempt == BIND_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind((host, port))
    except (OSError, OverflowError) as reason:
        bound.close()
        told = reason.strerror if isinstance(reason, OSError) else None
        raise ConfigError(f"cannot listen on {host}:{port}: {told or reason}") from reason
    return bound


def routable_host(bound: str) -> str:
    """Tell by which host others reach a node bound to `bound`, which may be a wildcard."""
    if bound not in {"0.0.0.0", "::", ""}:  # noqa: S104 # only compared with
        return bound
    family = socket.AF_INET6 if bound == "::" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1" if family == socket.AF_INET else "2001:db8::1", 9))
        except OSError:
            return "127.0.0.1" if family == socket.AF_INET else "::1"
        host: str = probe.getsockname()[0]
        return host
