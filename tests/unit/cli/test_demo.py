"""What the demo tells of its cluster."""

import asyncio
import sys

import pytest
from click.testing import CliRunner

from respcache.cli.client import SeenNode
from respcache.cli.demo import News, demo, news
from respcache.cli.serve import Ready


def seen(**states: str) -> dict[str, SeenNode]:
    """Describe nodes by address and state."""
    return {address: SeenNode(address, address, state, 0) for address, state in states.items()}


def told(before: dict[str, SeenNode], now: dict[str, SeenNode]) -> list[tuple[News, str]]:
    """Compare two views; nodes by address."""
    return [(happened, node.address) for happened, node in news(before, now)]


def test_nodes_that_come_and_go_are_news() -> None:
    """Those that stay as they are, are none."""
    assert told(seen(a="alive", b="alive"), seen(a="alive", c="alive")) == [(News.LEFT, "b"), (News.JOINED, "c")]
    assert told(seen(a="alive"), seen(a="alive")) == []


def test_a_death_is_told_once() -> None:
    """Suspected, dead, forgotten: the last is no news, nor is a node that was dead before we looked."""
    assert told(seen(a="alive"), seen(a="suspect")) == [(News.SUSPECTED, "a")]
    assert told(seen(a="suspect"), seen(a="dead")) == [(News.DIED, "a")]
    assert told(seen(a="dead"), seen()) == []
    assert told(seen(), seen(a="dead")) == []
    assert told(seen(a="suspect"), seen(a="alive")) == [(News.RECOVERED, "a")]


def test_the_line_of_a_ready_node_reads_back() -> None:
    """With or without HTTP; other lines are none."""
    for ready in (Ready("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"), Ready("[::1]:1", "[::1]:2", "")):
        assert Ready.parse(f"{ready}\n") == ready
    assert Ready.parse("Error: no\n") is None
    assert Ready.parse("") is None


def test_settings_that_are_not_for_the_demo_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would let all nodes want one port; nothing is ignored in silence."""
    monkeypatch.setattr(sys.modules["respcache.cli.demo"], "_demo", lambda _starts: asyncio.sleep(0))
    assert CliRunner().invoke(demo).stderr == ""
    monkeypatch.setenv("RESPCACHE_SERVER__PORT", "7000")
    assert "RESPCACHE_SERVER__PORT" in CliRunner().invoke(demo).stderr
