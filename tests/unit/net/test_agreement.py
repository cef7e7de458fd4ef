"""Which settings of two nodes must go together, and which should."""

import logging
import math

import pytest

from respcache.cluster.membership import Member, MemberState, Meta
from respcache.config import ClusterConfig, Config, ServerConfig
from respcache.net.agreement import NODES_MAX, Differences, difference, unclean_s
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


LIKE = Meta(client_port=1, http_port=0, lease_ms=1000, min_in_sync=0, unclean_after_s=30.0)
UNLIKE = Meta(
    client_port=1, http_port=0, lease_ms=1000, asynchronous=True, guarded=True, min_in_sync=2, unclean_after_s=math.inf
)


def test_what_should_be_alike_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """How clients are let in, and what becomes of writes; nothing where they are, or where nothing is said."""
    differences = Differences()
    for meta in (LIKE, Meta(client_port=1, http_port=0)):
        differences.tell(OWN, other(meta), None)
    assert caplog.messages == []
    differences.tell(OWN, other(UNLIKE), None)
    assert [message.split(":")[0] for message in caplog.messages] == [
        "b lets clients in with a password, this node without",
        "replication = async on b, and sync on this node",
        "min-in-sync = 2 on b, and 0 on this node",
        "unclean-after = never on b, and 30 on this node",
    ]


def test_each_difference_is_told_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """However often news of a member come; of another member, or with another value, it is told anew."""
    differences = Differences()
    scarce = [other(Meta(client_port=1, http_port=0, min_in_sync=copies)) for copies in (2, 2, 3, 3, 0, 2)]
    for member in scarce:
        differences.tell(OWN, member, "databases differ")
    assert [(record.levelno, record.getMessage()[:15]) for record in caplog.records] == [
        (logging.ERROR, "databases diffe"),
        (logging.WARNING, "min-in-sync = 2"),
        (logging.WARNING, "min-in-sync = 3"),
        (logging.WARNING, "min-in-sync = 2"),
    ]


def test_what_was_told_of_too_many_nodes_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """What is remembered is bounded."""
    differences = Differences()
    members = [
        Member(f"n{number}", 1, 0, MemberState.ALIVE, ("10.0.0.2", 16379), Meta(client_port=1, http_port=0), 0.0)
        for number in range(NODES_MAX + 1)
    ]
    for member in (*members, members[-1], members[0]):
        differences.tell(OWN, member, "databases differ")
    assert len(caplog.messages) == NODES_MAX + 2


def test_keys_may_wait_for_ever() -> None:
    """Which is longer than any time."""
    assert unclean_s(OWN) == 30.0
    assert unclean_s(Config(cluster=ClusterConfig(unclean_after_s="never"))) == math.inf
