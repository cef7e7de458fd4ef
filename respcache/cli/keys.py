"""`respcache keys`: make keys for a cluster, and replace those of one that runs."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import click

from respcache.cli.client import DEFAULT_ADDRESS, Client, Refused, explained, password_flag, password_of
from respcache.cli.tables import table
from respcache.cluster.sealing.keyring import KEY_BYTES, Key, Keyring
from respcache.errors import ConfigError

TIMEOUT_S: Final = 15.0
"""A node waits for the others' answers twice, and then answers without them."""
DONE: Final = "done"
COLOURS: Final = {DONE: "green"}


@dataclass(frozen=True, slots=True)
class Row:
    """One node in the table."""

    node: str = "NODE"
    result: str = "RESULT"
    primary: str = "PRIMARY"
    spare: str = "SPARE"
    connections: str = "CONNECTIONS"
    kept: str = "KEPT"


@click.group()
def keys() -> None:
    """Make keys for a cluster, or replace the key of one that runs.

    A rotation has three steps: install, use, remove. Each is taken on all live nodes, through
    any of them, and refused until it is safe. To take it again does no harm.
    """


@keys.command()
def generate() -> None:
    """Print a new key.

    Nodes are given a file with it (cluster-keys-file). Whoever has it can join their cluster.
    """
    click.echo(Key.of(secrets.token_bytes(KEY_BYTES)).text)


@keys.command(name="list")
@click.argument("address", default=DEFAULT_ADDRESS)
@password_flag
def list_keys(address: str, requirepass_file: Path | None) -> None:
    """Show which keys the nodes have.

    By their fingerprints, through the node at ADDRESS (host:port).
    """
    _step(address, password_of(requirepass_file), "LIST")


@keys.command()
@click.argument("file", type=click.File())
@click.argument("address", default=DEFAULT_ADDRESS)
@password_flag
def install(file: TextIO, address: str, requirepass_file: Path | None) -> None:
    """Step 1: give all nodes a new key.

    It is the first one in FILE (- for standard input). They can open what is sealed with it then.
    """
    words = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    try:
        ring = Keyring.parse(words[:1])
    except ConfigError as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(f"the key in {file.name} has the fingerprint {ring.primary.fingerprint}")
    _step(address, password_of(requirepass_file), "INSTALL", ring.primary.text)


@keys.command()
@click.argument("fingerprint")
@click.argument("address", default=DEFAULT_ADDRESS)
@password_flag
def use(fingerprint: str, address: str, requirepass_file: Path | None) -> None:
    """Step 2: have all nodes seal with it."""
    _step(address, password_of(requirepass_file), "USE", fingerprint)


@keys.command()
@click.argument("fingerprint")
@click.argument("address", default=DEFAULT_ADDRESS)
@password_flag
def remove(fingerprint: str, address: str, requirepass_file: Path | None) -> None:
    """Step 3: have all nodes forget the old key."""
    _step(address, password_of(requirepass_file), "REMOVE", fingerprint)


def _step(address: str, password: str, *words: str) -> None:
    """Take a step through a node and show what became of it; the exit status is 1 unless all nodes have done it."""
    try:
        with Client(address, password, timeout_s=TIMEOUT_S) as client:
            answer = client.ask("CLUSTER", "KEYS", *words)
    except (OSError, ValueError, Refused) as problem:
        raise click.ClickException(f"{address}: {explained(problem)}") from problem
    assert isinstance(answer, list)  # the command answers with nothing else
    rows = [_row(node) for node in answer]
    for line in table(Row(), rows, COLOURS, colour_by=1):
        click.echo(line)
    if any(row.result != DONE for row in rows):
        raise SystemExit(1)


def _row(told: list[object]) -> Row:
    """Read what one node told: names and values in turn, as RESP2 has them."""
    fields = dict(zip(told[::2], told[1::2], strict=True))
    primary, *spare = _words(fields[b"keys"]) or ["-"]
    return Row(
        node=_text(fields[b"node"]),
        result=_text(fields[b"result"]),
        primary=primary,
        spare=" ".join(spare) or "-",
        connections=" ".join(_words(fields[b"connections"])) or "-",
        kept=_text(fields[b"kept"]) or "-",
    )


def _words(told: object) -> list[str]:
    assert isinstance(told, list)
    return [_text(word) for word in told]


def _text(told: object) -> str:
    assert isinstance(told, bytes)
    return told.decode("utf-8", "replace")
