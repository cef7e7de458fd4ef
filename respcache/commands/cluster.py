"""CLUSTER: the slot table as cluster-aware clients read it.

Every node is listed once, as a master with the slots that it is primary of. The nodes that
hold copies are not named as replicas: each of them is a primary of other slots, and a
client that meets a node first as a replica files it as one and leaves it out of whatever
it sends to all masters.
"""

import ipaddress
import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from respcache.addresses import is_loopback
from respcache.cluster.health import Health
from respcache.cluster.ownership.slots import SLOTS, SLOTS_PER_PARTITION, slot_of
from respcache.cluster.topology import NodeView
from respcache.commands.arguments import integer
from respcache.commands.registry import Answer, Flags, command, family
from respcache.commands.session import Session
from respcache.errors import CommandError, NotAnInteger, SyntaxRefused, echoed
from respcache.leaving import refusal
from respcache.pending import Farewell, Pending
from respcache.reply import OK, Reply, Verbatim
from respcache.resp.encode import encode
from respcache.store.partition import Argv

_OPERATOR: Final = Flags.ADMIN | Flags.STALE
_MODE: Final = Flags.LOADING | Flags.STALE | Flags.FAST

LEAVE_ARGC_MAX: Final = 3
MEET_ARGC_MAX: Final = 5
KEY_VERBS: Final = frozenset({"list", "install", "use", "remove"})
MARKS: Final = {"alive": "master", "suspect": "master,fail?", "dead": "master,fail"}
"""How CLUSTER NODES says what is known of a node; one that has left is not listed."""


@command("READONLY", arity=1, flags=_MODE | Flags.CONNECTION, since="3.0.0")
def readonly(session: Session, argv: Argv) -> Reply:
    """Say that the client knows the slot table and asks each node for its part; copies are not read from."""
    del argv
    session.cluster_aware = session.node_scope = True
    return OK


@command("READWRITE", arity=1, flags=_MODE | Flags.CONNECTION, since="3.0.0")
def readwrite(session: Session, argv: Argv) -> Reply:
    """Take back what READONLY said of parts."""
    del argv
    session.node_scope = False
    return OK


@command("ASKING", arity=1, flags=Flags.FAST, since="3.0.0")
def asking(session: Session, argv: Argv) -> Reply:
    """Do nothing: no slot is ever served by two nodes, so nobody is sent elsewhere for one command."""
    del session, argv
    return OK


family("CLUSTER", since="3.0.0", group="cluster", help_since="5.0.0")


@command("CLUSTER|SLOTS", arity=2, flags=Flags.STALE, since="3.0.0")
def cluster_slots(session: Session, argv: Argv) -> Reply:
    """List the ranges of slots with the node that serves each."""
    del argv
    session.cluster_aware = True
    ranges = [(first, last, node) for node in serving(session.host.topology()) for first, last in node.slots]
    return [
        [first, last, [node.host.encode(), node.port, node.node_id.encode(), {}]]
        for first, last, node in sorted(ranges, key=itemgetter(0))
    ]


@command("CLUSTER|SHARDS", arity=2, flags=Flags.STALE, since="7.0.0")
def cluster_shards(session: Session, argv: Argv) -> Reply:
    """List the nodes with the slots that each serves."""
    del argv
    session.cluster_aware = True
    return [_shard(node) for node in listed(session.host.topology())]


@command("CLUSTER|NODES", arity=2, flags=Flags.STALE, since="3.0.0")
def cluster_nodes(session: Session, argv: Argv) -> Reply:
    """Describe the nodes, a line each; tools that ask for this go on to look at each of them."""
    del argv
    session.cluster_aware = True
    session.node_scope = not session.interactive
    return Verbatim(b"".join(_node_line(node) for node in listed(session.host.topology())))


@command("CLUSTER|LINKS", arity=2, flags=Flags.STALE, since="7.0.0")
def cluster_links(session: Session, argv: Argv) -> Reply:
    """List nothing: there is no bus of the kind that this command describes."""
    del session, argv
    return []


@command("CLUSTER|INFO", arity=2, flags=Flags.STALE, since="3.0.0")
def cluster_info(session: Session, argv: Argv) -> Reply:
    """Say whether all slots are served, and by how many nodes; without a lease, this node knows of none that is."""
    del argv
    nodes, health = session.host.topology(), session.host.health()
    members = [node for node in nodes if node.state in {"alive", "suspect"}]
    slots = {state: sum(_slot_count(node) for node in nodes if node.state == state) for state in MARKS}
    assigned = sum(slots.values())
    is_ok = slots["alive"] + slots["suspect"] == SLOTS
    if health is not None and not health.leased:
        is_ok, slots["alive"], slots["suspect"] = False, 0, slots["alive"] + slots["suspect"]
    figures = {
        "cluster_state": "ok" if is_ok else "fail",
        "cluster_slots_assigned": assigned,
        "cluster_slots_ok": slots["alive"],
        "cluster_slots_pfail": slots["suspect"],
        "cluster_slots_fail": slots["dead"],
        "cluster_known_nodes": len(members),
        "cluster_size": sum(1 for node in members if node.slots),
        "cluster_current_epoch": max((node.epoch for node in nodes), default=0),
        "cluster_my_epoch": max((node.epoch for node in nodes if node.myself), default=0),
        "cluster_stats_messages_sent": 0,
        "cluster_stats_messages_received": 0,
        "total_cluster_links_buffer_limit_exceeded": 0,
    }
    return Verbatim("".join(f"{name}:{figure}\r\n" for name, figure in figures.items()).encode())


@command("CLUSTER|HEALTH", arity=2, flags=Flags.STALE, since="7.0.0")
def cluster_health(session: Session, argv: Argv) -> Reply:
    """Say whether the next node may be restarted, and what speaks against it."""
    del argv
    health = _health(session)
    figures = {
        "safe_to_restart_next_node": health.restart_is_safe,
        "lease_held": health.leased,
        "partitions_unowned": health.unowned,
        "partitions_under_replicated": health.redundancy.partitions_short,
        "partitions_with_one_copy": health.redundancy.partitions_single,
        "partitions_without_copy": health.redundancy.partitions_bare,
        "copies_in_the_making": health.redundancy.under_way,
        "rebalance_eta_seconds": _whole_seconds(health.rebalance.eta_s),
        "voters": health.voters,
        "voters_reached": health.voters_reached,
        "quorum_margin": health.voters_spare,
        "every_side_of_a_split_goes_on": health.splits,
    }
    return Verbatim("".join(f"{name}:{int(figure)}\r\n" for name, figure in figures.items()).encode())


@command("CLUSTER|REBALANCE", arity=-2, flags=Flags.STALE, since="7.0.0")
def cluster_rebalance(session: Session, argv: Argv) -> Reply:
    """With STATUS, say how far the making of copies is in the whole cluster, and how long it may still take."""
    if len(argv) != 3 or argv[2].upper() != b"STATUS":
        raise CommandError("Try CLUSTER REBALANCE STATUS")
    rebalance = _health(session).rebalance
    figures = {
        "rebalance_active": int(rebalance.active),
        "copies_pending": rebalance.copies_pending,
        "copies_made": rebalance.copies_made,
        "primaries_pending": rebalance.primaries_pending,
        "elapsed_seconds": _whole_seconds(rebalance.elapsed_s),
        "eta_seconds": _whole_seconds(rebalance.eta_s),
        "last_duration_seconds": _whole_seconds(rebalance.last_duration_s),
        "last_ended_seconds_ago": _whole_seconds(rebalance.last_ended_ago_s),
    }
    return Verbatim("".join(f"{name}:{figure}\r\n" for name, figure in figures.items()).encode())


@command("CLUSTER|LEAVE", arity=-2, flags=_OPERATOR | Flags.NO_MULTI | Flags.CONNECTION, since="7.0.0")
def cluster_leave(session: Session, argv: Argv) -> Answer:
    """Leave the cluster, and end, as SHUTDOWN does; the reply is the last that comes of the node.

    It says whether everything was handed over, so without one the node has died on its way. A node whose keys nobody
    can take over stays, unless it is told FORCE.
    """
    host = session.host
    if len(argv) > LEAVE_ARGC_MAX or (len(argv) == LEAVE_ARGC_MAX and argv[2].upper() != b"FORCE"):
        raise SyntaxRefused
    if len(argv) < LEAVE_ARGC_MAX and (told := refusal(host.health(), host.store)) is not None:
        raise CommandError(told)
    host.shut_down(f"CLUSTER LEAVE from {session.address}")
    session.barrier = end = Farewell(encode(OK, session.protocol), mourns=True)
    return end


@command("CLUSTER|FAILOVER", arity=-2, flags=_OPERATOR | Flags.NO_ASYNC_LOADING, since="3.0.0")
def cluster_failover(session: Session, argv: Argv) -> Reply:
    """Make this node the primary of all keys that it has copies of; with TAKEOVER, go on without the others.

    Their present primaries hand over, and no command fails. With FORCE nobody is asked, and whose write is on its
    way just then is told that nobody knows what became of it. Until the nodes change the keys stay here.

    TAKEOVER is for when most voters are gone for good: should they live and go on elsewhere, one side's writes
    are dropped later.
    """
    if len(argv) > 3:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try CLUSTER HELP."
        )
    mode = argv[2].upper() if len(argv) == 3 else b""
    if mode == b"TAKEOVER":
        session.host.take_over()
    elif mode in {b"", b"FORCE"}:
        session.host.fail_over(mode == b"FORCE")
    else:
        raise SyntaxRefused
    return OK


@command("CLUSTER|MYID", arity=2, flags=Flags.STALE, since="3.0.0")
def cluster_myid(session: Session, argv: Argv) -> Reply:
    """Return the id of this node."""
    del argv
    return _myself(session).node_id.encode()


@command("CLUSTER|MYSHARDID", arity=2, flags=Flags.STALE, since="7.2.0")
def cluster_myshardid(session: Session, argv: Argv) -> Reply:
    """Return the id of this node's shard: its own."""
    del argv
    return _myself(session).node_id.encode()


@command("CLUSTER|KEYSLOT", arity=3, flags=Flags.STALE, since="3.0.0")
def cluster_keyslot(session: Session, argv: Argv) -> Reply:
    """Return the slot of a key."""
    del session
    return slot_of(argv[2])


@command("CLUSTER|COUNTKEYSINSLOT", arity=3, flags=Flags.STALE, since="3.0.0")
def cluster_countkeysinslot(session: Session, argv: Argv) -> Reply:
    """Count the keys of a slot on this node."""
    slot = integer(argv[2])
    if not 0 <= slot < SLOTS:
        raise CommandError("Invalid slot")
    return len(_keys_in(session, slot))


@command("CLUSTER|GETKEYSINSLOT", arity=4, flags=Flags.STALE, since="3.0.0")
def cluster_getkeysinslot(session: Session, argv: Argv) -> Reply:
    """List some keys of a slot on this node."""
    slot, count = integer(argv[2]), integer(argv[3])
    if not 0 <= slot < SLOTS or count < 0:
        raise CommandError("Invalid slot or number of keys")
    return list(_keys_in(session, slot)[:count])


@command("CLUSTER|COUNT-FAILURE-REPORTS", arity=3, flags=_OPERATOR, since="3.0.0")
def cluster_count_failure_reports(session: Session, argv: Argv) -> Reply:
    """Tell whether this node takes another for failed: 1, or 0."""
    return int(_known(session, argv[2]).state != "alive")


@command("CLUSTER|FORGET", arity=3, flags=_OPERATOR | Flags.NO_ASYNC_LOADING, since="3.0.0")
def cluster_forget(session: Session, argv: Argv) -> Reply:
    """Have the cluster forget a dead node: it is listed no more, and nobody waits for it to come back.

    A node that lives is refused: it would be back with its next word.
    """
    node = _known(session, argv[2])
    if node.myself:
        raise CommandError("I tried hard but I can't forget myself...")
    if node.state != "dead":
        raise CommandError(f"Node {node.node_id} is not dead: have it shut down first")
    session.host.forget(node.name)
    return OK


@command("CLUSTER|MEET", arity=-4, flags=_OPERATOR | Flags.NO_ASYNC_LOADING, since="3.0.0")
def cluster_meet(session: Session, argv: Argv) -> Reply:
    """Look for a node at an address, as if it had been given by `join`, until this node ends.

    Either port will do: the second one, if given, is asked instead of the first.
    """
    if len(argv) > MEET_ARGC_MAX:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try CLUSTER HELP."
        )
    base_port = _port(argv[3], "base")
    port = _port(argv[4], "bus") if len(argv) == MEET_ARGC_MAX else base_port
    host = echoed(argv[2])
    try:
        ipaddress.ip_address(host)
    except ValueError:
        is_address = False
    else:
        is_address = 0 < base_port < 2**16 and 0 < port < 2**16
    if not is_address:
        raise CommandError(f"Invalid node address specified: {host}:{echoed(argv[3])}")
    session.host.meet(host, port)
    return OK


@command("CLUSTER|SLAVES", arity=3, flags=_OPERATOR, since="3.0.0")
@command("CLUSTER|REPLICAS", arity=3, flags=_OPERATOR, since="5.0.0")
def cluster_replicas(session: Session, argv: Argv) -> Reply:
    """List nothing, for a known node: every node is a master."""
    _known(session, argv[2])
    return []


@command("CLUSTER|KEYS", arity=-3, flags=_OPERATOR | Flags.NOSCRIPT | Flags.SKIP_SLOWLOG, since="7.0.0")
def cluster_keys(session: Session, argv: Argv) -> Pending:
    """List the keys of the nodes, or replace them on all: LIST, INSTALL key, USE fingerprint, REMOVE fingerprint."""
    verb = argv[2].lower().decode("ascii", "replace")
    if verb not in KEY_VERBS or len(argv) != 3 + (verb != "list"):
        raise CommandError("Try CLUSTER KEYS LIST | INSTALL <key> | USE <fingerprint> | REMOVE <fingerprint>")
    if verb != "list":
        _permit_keys(session)
    subject = argv[3].decode("ascii", "replace") if len(argv) > 3 else ""
    return session.host.change_keys(verb, subject if verb == "install" else subject.lower(), session.protocol)


def _permit_keys(session: Session) -> None:
    """Refuse clients that may not change keys: what they send can be read on its way from another machine."""
    permitted = session.host.config.server.enable_keys_command
    if permitted == "no" or (permitted == "local" and not is_local(session.address)):
        raise CommandError(
            'CLUSTER KEYS command not allowed. If the enable-keys-command option is set to "local", '
            'you can run it from a local connection, otherwise you need to set this option to "yes" '
            "in the configuration, and then restart the server."
        )


def is_local(address: str) -> bool:
    """Tell whether a client is on this machine: by TCP, by a Unix socket, or in the process of the node."""
    host, _, _ = address.rpartition(":")
    return not host or is_loopback(host.strip("[]"))


def listed(nodes: Sequence[NodeView]) -> list[NodeView]:
    """Keep the nodes that have not left."""
    return [node for node in nodes if node.state in MARKS]


def serving(nodes: Sequence[NodeView]) -> list[NodeView]:
    """Keep the nodes that a client can go to."""
    return [node for node in nodes if node.state in {"alive", "suspect"}]


def _health(session: Session) -> Health:
    health = session.host.health()
    if health is None:
        raise CommandError("This node does not belong to a cluster yet")
    return health


def _whole_seconds(seconds: float) -> int:
    """Round up; -1 for what nobody can tell."""
    return math.ceil(seconds) if seconds < math.inf else -1


def _port(text: bytes, kind: str) -> int:
    try:
        return integer(text)
    except NotAnInteger:
        raise CommandError(f"Invalid TCP {kind} port specified: {echoed(text)}") from None


def _shard(node: NodeView) -> Reply:
    host = node.host.encode()
    return {
        b"slots": [slot for slots in node.slots for slot in slots],
        b"nodes": [
            {
                b"id": node.node_id.encode(),
                b"port": node.port,
                b"ip": host,
                b"endpoint": host,
                b"role": b"master",
                b"replication-offset": 0,
                b"health": b"fail" if node.state == "dead" else b"online",
            }
        ],
    }


def _node_line(node: NodeView) -> bytes:
    marks = f"myself,{MARKS[node.state]}" if node.myself else MARKS[node.state]
    link = "disconnected" if node.state == "dead" else "connected"
    ranges = "".join(f" {first}" if first == last else f" {first}-{last}" for first, last in node.slots)
    address = f"{node.host}:{node.port}@{node.cluster_port}"
    return f"{node.node_id} {address} {marks} - 0 0 {node.epoch} {link}{ranges}\n".encode()


def _slot_count(node: NodeView) -> int:
    return sum(last - first + 1 for first, last in node.slots)


def _keys_in(session: Session, slot: int) -> list[bytes]:
    """List the keys of a slot, if this node serves it."""
    partition = session.host.store.keyspace(session.database).partitions[slot // SLOTS_PER_PARTITION]
    if not partition.serving:
        return []
    return [key for key in partition.live_keys() if slot_of(key) == slot]


def _myself(session: Session) -> NodeView:
    return next(node for node in session.host.topology() if node.myself)


def _known(session: Session, node_id: bytes) -> NodeView:
    for node in listed(session.host.topology()):
        if node.node_id.encode() == node_id:
            return node
    raise CommandError(f"Unknown node {echoed(node_id)}")


@command("CLUSTER|MEETINGPOINT", arity=2, flags=Flags.NO_AUTH | Flags.LOADING | Flags.STALE, since="7.0.0")
def cluster_meetingpoint(session: Session, argv: Argv) -> Reply:
    """Return the cluster address of this node, host:port, where other nodes can join it."""
    del argv
    return "{}:{}".format(*session.host.cluster_address).encode()
