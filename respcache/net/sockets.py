"""Sockets that are bound before anybody listens on them, so that ports are known early."""

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import Final

from respcache.config import CLUSTER_PORT_OFFSET, Config
from respcache.errors import ConfigError

PORT_MAX: Final = 65535
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
    """Bind all ports of a node, or none. Raises ConfigError if one is taken, or if two of them are one."""
    server, http = config.server, config.http
    cluster = _cluster_port(config)
    _differ({"port": server.port, "cluster-port": cluster, **({"http-port": http.port} if http.enabled else {})})
    taken: list[socket.socket] = []
    try:
        taken.append(bind_stream(server.bind, server.port, setting="port"))
        taken += bind_pair(server.bind, cluster, setting="cluster-port")
        if http.enabled:
            taken.append(bind_stream(server.bind, http.port, setting="http-port"))
    except ConfigError:
        for bound in taken:
            bound.close()
        raise
    return Ports(taken[0], taken[1], taken[2], taken[3] if http.enabled else None)


def port_of(bound: socket.socket) -> int:
    """Give the number of the port that a socket is bound to."""
    number: int = bound.getsockname()[1]
    return number


def bind_stream(host: str, port: int, *, setting: str = "port") -> socket.socket:
    """Bind a TCP socket; port 0 takes any free one. Raises ConfigError, which names the setting, if it is taken."""
    return _bind(socket.SOCK_STREAM, host, port, setting)


def bind_pair(host: str, port: int, *, setting: str = "cluster-port") -> tuple[socket.socket, socket.socket]:
    """Bind TCP and UDP to one port number; port 0 takes any that is free for both. Raises ConfigError."""
    for attempt in range(BIND_TRIES):
        stream = bind_stream(host, port, setting=setting)
        try:
            return stream, _bind(socket.SOCK_DGRAM, host, stream.getsockname()[1], setting)
        except ConfigError:
            stream.close()
            if port or attempt == BIND_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _cluster_port(config: Config) -> int:
    """Give the cluster port that is wanted. Raises ConfigError if the RESP port leaves no room for it."""
    port, wanted = config.server.port, config.cluster.port
    if wanted is not None:
        return wanted
    if port > PORT_MAX - CLUSTER_PORT_OFFSET:
        raise ConfigError(
            f"port = {port} leaves no room for the cluster port, which is {CLUSTER_PORT_OFFSET} higher by default: "
            "set cluster-port"
        )
    return port + CLUSTER_PORT_OFFSET if port else 0


def _differ(ports: dict[str, int]) -> None:
    """Refuse to use one number twice. The system would not until somebody listens: it may be for another program."""
    setting_of: dict[int, str] = {}
    for setting, port in ports.items():
        if port and port in setting_of:
            raise ConfigError(f"{setting_of[port]} and {setting} are both {port}: they must differ")
        setting_of[port] = setting


def _bind(kind: socket.SocketKind, host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        if kind == socket.SOCK_STREAM:
            bound.listen()  # until then another program that does not either could bind the same port
    except OSError as reason:
        bound.close()
        raise ConfigError(f"cannot listen on {host}:{port} ({setting}): {reason_of(reason)}") from reason
    return bound


def host_of(transport: asyncio.BaseTransport) -> str:
    """Tell which host a connection comes from, or goes to; a question mark where there is none, or not any more."""
    return str((transport.get_extra_info("peername") or "?")[0])


def reason_of(problem: OSError) -> str:
    """Say what the system says of a failure, without numbers and what was called."""
    number = problem.errno or 0
    return os.strerror(number) if number > 0 else problem.strerror or str(problem)


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
