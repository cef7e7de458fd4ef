"""`respcache status`: the nodes of a running cluster, their slots and keys, as a table."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from respcache.cli.client import (
    DEFAULT_ADDRESS,
    Client,
    Refused,
    SeenNode,
    diagnosed,
    explained,
    parse_info,
    password_flag,
    password_of,
    seen_nodes,
)
from respcache.cli.tables import table
from respcache.cluster.ownership.slots import PARTITIONS

STATE: Final = 2
"""The column of a node's state, which COLOURS are for."""
COLOURS: Final = {"alive": "green", "suspect": "yellow", "dead": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One node in the table. The name of a node that was given none is its address."""

    node: str = "NODE"
    name: str = "NAME"
    state: str = "STATE"
    slots: str = "SLOTS"
    keys: str = "KEYS"
    copies: str = "COPIES"
    memory: str = "MEMORY"
    clients: str = "CLIENTS"


@click.command()
@click.argument("address", default=DEFAULT_ADDRESS)
@password_flag
def status(address: str, requirepass_file: Path | None) -> None:
    """Show the cluster that the node at ADDRESS (host:port) belongs to."""
    password = password_of(requirepass_file)
    try:
        with Client(address, password) as client:
            overview = parse_info(client.text("CLUSTER", "INFO"))
            overview |= parse_info(client.text("INFO", "CLUSTER"))
            found = seen_nodes(client)
    except (OSError, ValueError, Refused) as problem:
        raise click.ClickException(f"{address}: {explained(diagnosed(address, problem))}") from problem
    rows = [_row(node, password) for node in sorted(found, key=lambda node: node.address)]
    for line in summary(overview, found):
        click.echo(line)
    for line in table(Row(), rows, COLOURS, colour_by=STATE):
        click.echo(line)


def summary(overview: dict[str, str], nodes: list[SeenNode]) -> list[str]:
    """Say how the cluster is, and what endangers it. `overview` has the fields of CLUSTER INFO and INFO CLUSTER."""
    served = f"{overview['cluster_slots_ok']} of 16384 slots served"
    lines = [f"cluster {overview['cluster_state']}, {overview['cluster_known_nodes']} nodes, {served}"]
    copies, wanted = overview.get("cluster_replica_count", "1"), overview.get("cluster_copies_wanted", "1")
    is_cut_off = overview.get("cluster_lease_held", "1") == "0"
    if is_cut_off:
        lines.append(click.style("this node reaches no majority of the voters: it serves nothing for now", fg="red"))
    bare = int(overview.get("cluster_partitions_without_copy", "0"))
    if bare and not is_cut_off:  # else the others may have copies
        told = f"{bare} of {PARTITIONS} partitions have no living copy: their keys are gone, unless a node comes back"
        lines.append(click.style(f"{told} that has one", fg="red"))
    missing = int(overview.get("cluster_copies_missing", "0"))
    if missing:
        partitions = int(wanted) * PARTITIONS
        lines.append(click.style(f"{missing} of {partitions} copies missing: one more death can lose keys", fg="red"))
    if int(wanted) < int(copies):
        lines.append(click.style(f"too few nodes for {copies} copies of each key: there are {wanted}", fg="yellow"))
    silent = [str(node) for node in nodes if node.state == "suspect"]
    if silent:
        lines.append(click.style(f"no answer from {', '.join(silent)}", fg="yellow"))
    return lines


def _row(node: SeenNode, password: str) -> Row:
    row = Row(node.address, node.name, node.state, str(node.slots), "-", "-", "-", "-")
    if node.state == "dead":
        return row
    try:
        with Client(node.address, password) as client:
            figures = parse_info(client.text("INFO"))
    except (OSError, Refused):
        return row
    return replace(
        row,
        keys=figures.get("cluster_served_keys", "-"),
        copies=figures.get("cluster_copied_keys", "-"),
        memory=figures.get("used_memory_human", "-"),
        clients=figures.get("connected_clients", "-"),
    )
