"""What scripts may do, and what becomes of those that fail."""

import logging
import sys
from collections.abc import Callable

import pytest

from respcache.commands.registry import Command
from respcache.errors import CommandError
from respcache.reply import OK, Reply
from respcache.scripting.interpreter import LOG_MAX_BYTES, Interpreter
from respcache.scripting.machine import NoLua
from respcache.store.partition import Argv
from unit.commands.front import Front


class Ground:
    """Notes the commands on keys."""

    database = 3
    full = False
    is_astray = False
    is_lost = False

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []

    def afterwards(self, say: Callable[[], object]) -> None:
        """Say it."""
        say()

    def run(self, row: Command, argv: Argv, database: int) -> Reply:
        """Note a command."""
        del argv
        self.ran.append((row.name, database))
        return OK


def evaluate(scripts: Interpreter, text: bytes, *, reads: bool = False) -> tuple[Reply, Ground]:
    """Run a script."""
    ground = Ground()
    return scripts.evaluate(text, ground, [], [], reads=reads), ground


def test_without_lua_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is run."""
    monkeypatch.setitem(sys.modules, "lupa", None)
    with pytest.raises(NoLua, match=r"pip install 'respcache\[lua\]'"):
        evaluate(Front().scripts, b"return 1")


@pytest.mark.parametrize(
    ("text", "state"),
    [(b"while true do end", "had written nothing"), (b"redis.call('set', 'a', 1) while true do end", "stays")],
)
def test_a_script_that_is_ended_says_whether_it_had_written(text: bytes, state: str) -> None:
    """It is counted, and the next one runs."""
    scripts = Front().scripts
    scripts.time_limit_ms = 50
    reply, _ = evaluate(scripts, text)
    assert isinstance(reply, CommandError)
    assert str(reply).startswith("ERR Script ended: it took more than 50 ms (lua-time-limit)")
    assert state in str(reply)
    assert scripts.ended == {"killed": 0, "memory": 0, "reply": 0, "time": 1}
    assert evaluate(scripts, b"return 1")[0] == 1


def test_commands_run_in_the_database_that_the_script_selects() -> None:
    """Beginning with the client's; the client's stays what it is."""
    _, ground = evaluate(
        Front().scripts, b"redis.call('get', 'a') redis.call('select', 7) return redis.call('get', 'a')"
    )
    assert ground.ran == [("GET", 3), ("GET", 7)]
    _, ground = evaluate(Front().scripts, b"return redis.call('get', 'a')")
    assert ground.ran == [("GET", 3)]


@pytest.mark.parametrize("command", ["'multi'", "'eval', 'return 1', 0", "'subscribe', 'a'", "'blpop', 'a', 0"])
def test_what_scripts_may_not_run_reaches_no_key(command: str) -> None:
    """By the flag in the command table."""
    reply, ground = evaluate(Front().scripts, f"return redis.call({command})".encode())
    assert isinstance(reply, CommandError)
    assert "not allowed from script" in str(reply)
    assert not ground.ran


def test_read_only_scripts_write_nothing() -> None:
    """Whether the command or the script says so."""
    own = b"#!lua flags=no-writes\nredis.call('del', 'a')"
    for text, reads in ((b"return redis.pcall('set', 'a', 1)", True), (own, False)):
        reply, ground = evaluate(Front().scripts, text, reads=reads)
        assert "Write commands are not allowed from read-only scripts." in str(reply)
        assert not ground.ran


def test_scripts_write_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With their level; whatever bytes, in one line, and of a long text the beginning."""
    with caplog.at_level(logging.DEBUG):
        evaluate(Front().scripts, b"redis.log(redis.LOG_WARNING, 'a', '\\255') redis.log(redis.LOG_DEBUG, 'b')")
        evaluate(Front().scripts, b"redis.log(redis.LOG_WARNING, '\\n', string.rep('c', 5000))")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "script: a \\xff"),
        ("DEBUG", "script: b"),
        ("WARNING", "script: \\n " + "c" * (LOG_MAX_BYTES - 2)),
    ]


def test_commands_of_scripts_are_counted() -> None:
    """As those of clients are, refusals too."""
    front = Front()
    evaluate(front.scripts, b"for i = 1, 3 do redis.call('get', 'a') end")
    assert sum(front.host.stats.calls) == 3
    evaluate(front.scripts, b"redis.pcall('select', 'x')")
    assert sum(front.host.stats.failed) == 1
