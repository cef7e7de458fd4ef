"""Ports: all of them, or none."""

import socket

import pytest

from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.errors import ConfigError
from respcache.net.sockets import bind_pair, bind_ports, bind_stream, port_of, routable_host

HOST = "127.0.0.1"


def config(port: int = 0, cluster_port: int | None = None, http_port: int = 0, *, http: bool = True) -> Config:
    """Configure ports."""
    return Config(
        server=ServerConfig(port=port),
        cluster=ClusterConfig(port=cluster_port),
        http=HttpConfig(enabled=http, port=http_port),
    )


def test_the_cluster_port_is_one_number_for_tcp_and_udp() -> None:
    """Free for both, and held from then on."""
    stream, datagram = bind_pair(HOST, 0)
    with stream, datagram:
        assert stream.getsockname() == datagram.getsockname()
        assert (stream.type, datagram.type) == (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        assert not stream.getblocking()
        stream.listen()
        with pytest.raises(ConfigError, match=f"cannot listen on {HOST}:{port_of(stream)}: Address already in use"):
            bind_pair(HOST, port_of(stream))


def test_a_pair_of_which_one_is_taken_is_no_pair() -> None:
    """The other one is given back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError):
            bind_pair(HOST, port)
        bind_stream(HOST, port).close()


def test_free_ports_are_four_different_sockets() -> None:
    """Port 0 stands for any free one, everywhere."""
    ports = bind_ports(config())
    numbers = {port_of(ports.client), port_of(ports.stream)}
    assert ports.http is not None
    assert len(numbers | {port_of(ports.http)}) == 3
    ports.close()
    assert ports.client.fileno() == ports.datagram.fileno() == -1


def test_http_can_be_left_out() -> None:
    """Then there is no such socket."""
    ports = bind_ports(config(http=False))
    assert ports.http is None
    ports.close()


def test_what_was_bound_is_given_back_when_a_later_port_is_taken() -> None:
    """A node that cannot start leaves nothing behind."""
    taken = bind_stream(HOST, 0)
    taken.listen()
    free = bind_stream(HOST, 0)
    port = port_of(free)
    free.close()
    with pytest.raises(ConfigError):
        bind_ports(config(port, 0, port_of(taken)))
    bind_stream(HOST, port).close()
    taken.close()


def test_a_cluster_port_beyond_the_last_one_is_a_configuration_error() -> None:
    """As when the RESP port leaves no room for the offset."""
    free = bind_stream(HOST, 0)
    port = port_of(free)
    free.close()
    wanted = config(max(port, 60_000))
    with pytest.raises(ConfigError, match="cannot listen on"):
        bind_ports(wanted)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b"])
def test_a_host_that_is_not_here_is_a_configuration_error(host: str) -> None:
    """Whether it has a name or a number."""
    with pytest.raises(ConfigError, match="cannot listen on"):
        bind_stream(host, 0)


def test_a_wildcard_is_no_address_for_others() -> None:
    """They are told one of this machine's; what was bound is good enough otherwise."""
    assert routable_host("10.1.2.3") == "10.1.2.3"
    assert routable_host("0.0.0.0") not in {"", "0.0.0.0"}  # noqa: S104 # asked for, not bound
    assert ":" in routable_host("::")
