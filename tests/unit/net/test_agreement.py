"""Which settings of two nodes must go together, and which should."""

import pytest

from respcache.cluster.membership import Member, MemberState, Meta
from respcache.config import ClusterConfig, Config, ServerConfig
from respcache.net.agreement import difference, warn_of_differences
from respcache.net.keeping import lease_ms

OWN = Config(server=ServerConfig(databases=16), cluster=ClusterConfig(environment="lan"))


def other(meta: Meta) -> Member:
    """Give a member that tells this of itself."""
    return Member("b", 1, 0, MemberState.ALIVE, ("10.0.0.2", 16379), meta, 0.0)


@pytest.mark.parametrize(
    ("databases", "lease", "told"),
    [
        (16, 1000, None),
        (0, 0, None),
        (4, 1000, "databases = 16, but 4 on b: all nodes of a cluster must have as many"),
        (
            16,
            5000,
            "leases of 1 s (environment = lan, lease), but of 5 s on b: all nodes of a cluster must have the same",
        ),
    ],
)
def test_databases_and_leases_must_be_the_same(databases: int, lease: int, told: str | None) -> None:
    """A node of an earlier version says nothing of them, and is believed to be like this one."""
    assert difference(OWN, other(Meta(client_port=1, http_port=0, databases=databases, lease_ms=lease))) == told


def test_a_lease_follows_from_the_environment_unless_it_is_given() -> None:
    """In milliseconds."""
    assert lease_ms(OWN) == 1000
    assert lease_ms(Config(cluster=ClusterConfig(environment="wan"))) == 5000
    assert lease_ms(Config(cluster=ClusterConfig(environment="wan", lease_s=0.25))) == 250


def test_what_should_be_alike_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Passwords and the way in which writes are answered; nothing where they are, or where nothing is said."""
    for meta in (Meta(client_port=1, http_port=0, lease_ms=1000), Meta(client_port=1, http_port=0)):
        warn_of_differences(OWN, other(meta))
    assert caplog.messages == []
    warn_of_differences(OWN, other(Meta(client_port=1, http_port=0, lease_ms=1000, asynchronous=True, guarded=True)))
    assert [message.split(":")[0] for message in caplog.messages] == [
        "b lets clients in with a password, this node without",
        "replication = async on b, and sync on this node",
    ]
