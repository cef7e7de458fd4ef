"""`respcache keys`, against a node that answers what it is told to."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from respcache.cli import main
from respcache.cluster.sealing.keyring import Key
from respcache.reply import Reply
from respcache.resp.encode import encode
from unit.cli.test_client import answering

KEY = Key.of(bytes(32))


def run(*arguments: str, given: str = "") -> Result:
    """Run the program."""
    return CliRunner().invoke(main, ["keys", *arguments], input=given)


def node(name: bytes, result: bytes, *keys: bytes) -> Reply:
    """Say what a node told."""
    return {b"node": name, b"result": result, b"keys": list(keys), b"connections": [b"cc"], b"kept": b"yes"}


def test_a_generated_key_is_one_and_another_each_time() -> None:
    """A line that a file of keys can consist of."""
    first, second = (Key.parse(run("generate").output.strip()) for _ in range(2))
    assert first != second


def test_a_step_is_shown_for_each_node() -> None:
    """The primary key in front; the exit status is 0 if all have done it."""
    told = encode([node(b"a:1", b"done", b"aa", b"bb"), node(b"b:1", b"done", b"aa")], 2)
    with answering(told) as address:
        result = run("use", "aa", address)
    assert result.output.splitlines() == [
        "NODE  RESULT  PRIMARY  SPARE  CONNECTIONS  KEPT",
        "a:1   done    aa       bb     cc           yes",
        "b:1   done    aa       -      cc           yes",
    ]
    assert result.exit_code == 0


def test_a_step_that_not_all_have_taken_is_a_failure() -> None:
    """The table says who."""
    with answering(encode([node(b"a:1", b"done", b"aa"), node(b"b:1", b"no answer")], 2)) as address:
        result = run("remove", "bb", address)
    assert "b:1   no answer  -" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize("content", ["{key}\n", "# made today\n\n  {key}\nignored\n"])
def test_the_key_to_be_installed_comes_from_a_file(tmp_path: Path, content: str) -> None:
    """Or from standard input, never from the command line, which other users may see; it is not printed."""
    file = tmp_path / "key"
    file.write_text(content.format(key=KEY.text))
    for source, given in ((str(file), ""), ("-", content.format(key=KEY.text))):
        with answering(encode([node(b"a:1", b"done", b"aa")], 2)) as address:
            result = run("install", source, address, given=given)
        assert result.exit_code == 0, result.output
        assert f"has the fingerprint {KEY.fingerprint}" in result.output
        assert KEY.text not in result.output


def test_what_is_no_key_is_not_sent() -> None:
    """Nor printed."""
    result = run("install", "-", "127.0.0.1:1", given="swordfish\n")
    assert (result.exit_code, "swordfish" in result.output) == (1, False)
    assert "must be 32 bytes in base64" in result.output
    assert run("install", "-", "127.0.0.1:1", given="").exit_code == 1


def test_a_refusal_is_one_line() -> None:
    """The node's own words."""
    with answering(b"-ERR use refused: b lack aa; install it first\r\n") as address:
        result = run("use", "aa", address)
    assert result.output == f"Error: {address}: ERR use refused: b lack aa; install it first\n"
    assert result.exit_code == 1


def test_the_keys_of_a_cluster_are_listed() -> None:
    """Nothing has to be named for that."""
    with answering(encode([node(b"a:1", b"done", b"aa")], 2)) as address:
        assert run("list", address).exit_code == 0


def test_a_node_that_is_not_there_is_said_in_words() -> None:
    """Without the number that the system has for it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*unused.getsockname())
        result = run("list", address)
    assert (result.exit_code, result.output) == (1, f"Error: {address}: Connection refused\n")
