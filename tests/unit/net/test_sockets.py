"""Ports: all of them, or none."""

import socket

import pytest

from loopback import free_ports
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
        with pytest.raises(ConfigError, match=rf"cannot listen on {HOST}:{port_of(stream)} \(cluster-port\): Addr"):
            bind_pair(HOST, port_of(stream))


def test_a_pair_of_which_one_is_taken_is_no_pair() -> None:
    """The other one is given back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        port = free_ports(1)[0]
        taken.bind((HOST, port))
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
    port = free_ports(1)[0]
    with pytest.raises(ConfigError):
        bind_ports(config(port, 0, port_of(taken)))
    bind_stream(HOST, port).close()
    taken.close()


def test_a_cluster_port_beyond_the_last_one_is_a_configuration_error() -> None:
    """When the RESP port leaves no room for the offset, the setting that helps is named."""
    with pytest.raises(ConfigError, match=r"port = 60000 leaves no room for the cluster port.*set cluster-port"):
        bind_ports(config(60_000))


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        ((7001, 7001, 0), "port and cluster-port are both 7001"),
        ((7001, 0, 7001), "port and http-port are both 7001"),
        ((0, 7001, 7001), "cluster-port and http-port are both 7001"),
        ((7001, None, 17001), "cluster-port and http-port are both 17001"),
    ],
)
def test_one_number_for_two_ports_is_a_configuration_error(ports: tuple[int, int | None, int], told: str) -> None:
    """Clients of one of them would reach the other."""
    with pytest.raises(ConfigError, match=told):
        bind_ports(config(*ports))


def test_a_port_that_is_not_listened_for_may_have_any_number() -> None:
    """Without HTTP its port means nothing."""
    port = free_ports(1)[0]
    bind_ports(config(port, 0, port, http=False)).close()


def test_a_port_is_taken_as_soon_as_it_is_bound() -> None:
    """Of two nodes that start at once on one port, one is refused and not deaf."""
    with bind_stream(HOST, 0) as taken, pytest.raises(ConfigError, match=r"\(http-port\): Address already in use"):
        bind_stream(HOST, port_of(taken), setting="http-port")


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
