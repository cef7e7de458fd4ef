"""`respcache leave`: a running node hands its keys over and is gone, and whoever asked for it knows how that went."""

from pathlib import Path
from typing import Final

import click

from respcache import pending
from respcache.cli.client import Client, Refused, diagnosed, explained, password_flag, password_of
from respcache.cli.serve import INCOMPLETE

GOODBYE_S: Final = 15.0
"""How long a node may take on top of `shutdown-timeout`: for its good-bye, and on a machine that has little time."""

ADDRESS_HINT: Final = "ADDRESS is host:port, where clients connect, and `respcache status` shows that of each node"


@click.command()
@click.argument("address")
@click.option("--force", is_flag=True, help="Leave although nobody can take the keys over: they are gone then.")
@password_flag
def leave(address: str, requirepass_file: Path | None, force: bool) -> None:  # noqa: FBT001 # click's calling
    """Have the node at ADDRESS (host:port) hand its keys over and leave, and wait until it is gone.

    The last node of a cluster, and one that reaches no majority of the voters, refuse while they have keys, unless
    they get --force. Have one leave after the other: of several that leave together the last is not refused.

    The exit status is 0 if it has handed over everything, 3 if it is gone and could not do that within its
    shutdown-timeout, or had nobody to hand keys over to, and 1 if it was not asked, refused, or went without a word of
    how it went. With 3 it says how many keys are gone, and how many partitions have one copy for now.
    """
    password = password_of(requirepass_file)
    try:
        with Client(address, password) as client:
            limit_s = _shutdown_timeout_s(client) + GOODBYE_S
    except (OSError, ValueError, Refused) as problem:
        told = explained(diagnosed(address, problem))
        hint = "" if _has_port(address) else f"; {ADDRESS_HINT}"
        raise click.ClickException(f"{address}: {told}{hint}") from problem
    if left_behind := what_is_left(address, password, limit_s=limit_s, force=force):
        click.echo(f"{address}: {left_behind}", err=True)
        raise SystemExit(INCOMPLETE)
    click.echo(f"{address} has left; everything was handed over")


def what_is_left(address: str, password: str, *, limit_s: float, force: bool = False) -> str:
    """Have a node leave; return what it says that it has not handed over. Raises ClickException if nobody knows."""
    try:
        with Client(address, password, timeout_s=limit_s) as client:
            client.ask("CLUSTER", "LEAVE", *(["FORCE"] if force else []))
    except TimeoutError as problem:
        raise click.ClickException(f"{address}: not gone after {limit_s:g} s; it may still be leaving") from problem
    except OSError as problem:
        told = f"{address}: gone without a word of whether everything was handed over: {explained(problem)}"
        raise click.ClickException(told) from problem
    except Refused as refusal:
        if str(refusal).startswith(pending.INCOMPLETE):
            return str(refusal).removeprefix(pending.INCOMPLETE).strip()
        raise click.ClickException(f"{address}: {explained(refusal)}") from refusal
    return ""


def _has_port(address: str) -> bool:
    """Tell whether somebody gave a port, be it all that was given; else it may be the name of a node."""
    return address.isdecimal() or ":" in address


def _shutdown_timeout_s(client: Client) -> float:
    """Ask the node for how long it hands over at most."""
    setting = client.ask("CONFIG", "GET", "shutdown-timeout")
    assert isinstance(setting, list)  # the command answers with nothing else
    return float(setting[1])
