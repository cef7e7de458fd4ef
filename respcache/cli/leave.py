"""`respcache leave`: a running node hands its keys over and is gone, and whoever asked for it knows how that went."""

from pathlib import Path
from typing import Final

import click

from respcache import pending
from respcache.cli.client import Client, Refused, diagnosed, explained, password_flag, password_of
from respcache.cli.serve import INCOMPLETE

GOODBYE_S: Final = 15.0
"""How long a node may take on top of `shutdown-timeout`: for its good-bye, and on a machine that has little time."""


@click.command()
@click.argument("address")
@password_flag
def leave(address: str, requirepass_file: Path | None) -> None:
    """Have the node at ADDRESS (host:port) hand its keys over and leave, and wait until it is gone.

    The exit status is 0 if it has handed over everything, 3 if it is gone and could not do that within its
    shutdown-timeout, and 1 if it was not asked, refused, or went without a word of how it went.
    """
    password = password_of(requirepass_file)
    try:
        with Client(address, password) as client:
            limit_s = _shutdown_timeout_s(client) + GOODBYE_S
    except (OSError, ValueError, Refused) as problem:
        raise click.ClickException(f"{address}: {explained(diagnosed(address, problem))}") from problem
    if not hands_over(address, password, limit_s=limit_s):
        click.echo(f"{address} has left; not everything was handed over within its shutdown-timeout", err=True)
        raise SystemExit(INCOMPLETE)
    click.echo(f"{address} has left; everything was handed over")


def hands_over(address: str, password: str, *, limit_s: float) -> bool:
    """Have a node leave, and return whether it has handed over everything. Raises ClickException if nobody knows."""
    try:
        with Client(address, password, timeout_s=limit_s) as client:
            client.ask("CLUSTER", "LEAVE")
    except TimeoutError as problem:
        raise click.ClickException(f"{address}: not gone after {limit_s:g} s; it may still be leaving") from problem
    except OSError as problem:
        told = f"{address}: gone without a word of whether everything was handed over: {explained(problem)}"
        raise click.ClickException(told) from problem
    except Refused as refusal:
        if str(refusal).startswith(pending.INCOMPLETE):
            return False
        raise click.ClickException(f"{address}: {explained(refusal)}") from refusal
    return True


def _shutdown_timeout_s(client: Client) -> float:
    """Ask the node for how long it hands over at most."""
    setting = client.ask("CONFIG", "GET", "shutdown-timeout")
    assert isinstance(setting, list)  # the command answers with nothing else
    return float(setting[1])
