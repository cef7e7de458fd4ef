"""`respcache leave`, against a node that answers what it is told to."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from respcache.cli import main
from respcache.cli.leave import what_is_left
from respcache.cli.serve import INCOMPLETE
from respcache.resp.encode import request
from unit.cli.test_client import answering

SETTING: Final = b"*2\r\n$16\r\nshutdown-timeout\r\n$1\r\n3\r\n"
ASKED: Final = [request([b"CONFIG", b"GET", b"shutdown-timeout"]), request([b"CLUSTER", b"LEAVE"])]


def run(arguments: Sequence[str]) -> Result:
    """Run the program."""
    return CliRunner().invoke(main, ["leave", *arguments])


def test_a_node_that_has_handed_everything_over_is_a_success() -> None:
    """It is asked for how long it may take, and then to go."""
    asked: list[bytes] = []
    with answering(SETTING, b"+OK\r\n", asked=asked) as address:
        result = run([address])
    assert (result.exit_code, result.output) == (0, f"{address} has left; everything was handed over\n")
    assert asked == ASKED


def test_a_node_that_left_something_behind_is_told_apart() -> None:
    """By the exit status that its process has as well."""
    with answering(SETTING, b"-INCOMPLETE the node has left, and 7 keys are gone\r\n") as address:
        result = run([address])
    told = f"{address}: the node has left, and 7 keys are gone\n"
    assert (result.exit_code, result.stdout, result.stderr) == (INCOMPLETE, "", told)


def test_a_node_leaves_by_force_only_if_somebody_says_so() -> None:
    """What it says is refused otherwise."""
    asked: list[bytes] = []
    with answering(SETTING, b"+OK\r\n", asked=asked) as address:
        assert run([address, "--force"]).exit_code == 0
    assert asked[1] == request([b"CLUSTER", b"LEAVE", b"FORCE"])


def test_the_name_of_a_node_is_no_address() -> None:
    """Whoever gives it is told where the address stands; with a port it is what it looks like."""
    with_name, with_port = run(["no-such-host.invalid"]), run(["no-such-host.invalid:6379"])
    assert (with_name.exit_code, with_port.exit_code) == (1, 1)
    assert "ADDRESS is host:port" in with_name.output
    assert "respcache status" in with_name.output
    assert "ADDRESS is host:port" not in with_port.output


def test_a_node_that_dies_on_its_way_is_no_success() -> None:
    """Nobody knows what it had left."""
    with answering(SETTING, b"") as address:
        result = run([address])
    assert result.exit_code == 1
    assert f"{address}: gone without a word of whether everything was handed over" in result.output


def test_a_node_that_does_not_go_is_not_waited_for_without_end() -> None:
    """It may still be leaving by then, which is said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        with pytest.raises(ClickException, match=f"{address}: not gone after 0.1 s; it may still be leaving"):
            what_is_left(address, "", limit_s=0.1)


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ([b"-NOAUTH Authentication required.\r\n"], "the node wants a password"),
        ([SETTING, b"-BUSY Redis is busy running a script.\r\n"], "BUSY Redis is busy running a script."),
    ],
)
def test_a_refusal_is_one_line(replies: list[bytes], told: str) -> None:
    """The node stays then."""
    with answering(*replies) as address:
        result = run([address])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {address}: {told}")


def test_the_password_comes_from_a_file(tmp_path: Path) -> None:
    """As for the other commands."""
    file = tmp_path / "password"
    file.write_text("swordfish\n")
    asked: list[bytes] = []
    with answering(b"-WRONGPASS invalid\r\n", asked=asked) as address:
        result = run([address, "--requirepass-file", str(file)])
    assert asked == [request([b"AUTH", b"swordfish"])]
    assert (result.exit_code, "the password is not that of the node" in result.output) == (1, True)


def test_a_node_has_to_be_named() -> None:
    """No default makes a node leave by mistake; one that is not there is said in words."""
    assert "Missing argument 'ADDRESS'" in run([]).output
    result = run(["127.0.0.1:1"])
    assert (result.exit_code, result.output) == (1, "Error: 127.0.0.1:1: Connection refused\n")
