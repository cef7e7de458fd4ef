"""A step with the keys, carried to all members and back."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, cast

import hiredis
import pytest

from respcache.cluster.sealing import rotation as messages
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.rotation import Step, Verb
from respcache.net import frames, rotation
from respcache.net.rotation import Rotation
from respcache.pending import Pending
from unit.net.noted import NotedNode
from unit.net.test_sealed import NEW, OLD, sealing

A, B = OLD.fingerprint, NEW.fingerprint
Answer = dict[bytes, bytes | list[bytes]]


class Rotator(NotedNode):
    """A node that takes part in a rotation."""

    def __init__(self, name: str, *keys: Key) -> None:
        self.sealing: Final = sealing(name, *keys)
        super().__init__(name, self.sealing)
        self.others: Sequence[str] = ()
        self.kept: Final[list[Keyring]] = []
        self.rotation: Final = Rotation(self.sealing, self.links, members=lambda: self.others, keep=self._keep)

    async def ask(self, verb: Verb, subject: str = "") -> list[Answer] | str:
        """Have a step taken everywhere; give the nodes' answers, or the refusal."""
        pending = self.rotation.command(verb, subject, 3)
        arrived = asyncio.Event()
        pending.then(arrived.set)
        async with asyncio.timeout(rotation.ANSWER_TIMEOUT_S * 2):
            await arrived.wait()
        reader = hiredis.Reader()
        reader.feed(pending.wire or b"")
        reply = reader.gets()
        return str(reply) if isinstance(reply, hiredis.ReplyError) else cast("list[Answer]", reply)

    def _keep(self, ring: Keyring) -> str:
        self.kept.append(ring)
        return "read-only" if self.links.greeting.name == "c" else ""


def with_three(
    scenario: Callable[[Rotator, Rotator, Rotator], Coroutine[None, None, None]], rings: Sequence[tuple[Key, ...]]
) -> None:
    """Run a scenario with three nodes, linked all with all."""

    async def main() -> None:
        nodes = [Rotator(name, *ring) for name, ring in zip("abc", rings, strict=True)]
        for node in nodes:
            await node.listen()
            node.others = [other for other in "abc" if other != node.links.greeting.name]
        for node in nodes:
            for other in nodes:
                if node is not other:
                    node.keep(other)
        for node in nodes:
            for name in node.others:
                await node.hears("up", name)
        try:
            await scenario(*nodes)
        finally:
            for node in nodes:
                await node.rotation.close()
                await node.close()

    asyncio.run(main())


def column(answers: list[Answer] | str, name: str) -> list[object]:
    """Pick one thing that all nodes told, by the order of their names."""
    assert isinstance(answers, list), answers
    return [answer[name.encode()] for answer in answers]


def test_a_cluster_goes_on_to_another_key() -> None:
    """Through any of its nodes; each tells its ring, what its links rest on, and whether it is kept."""

    async def scenario(a: Rotator, b: Rotator, c: Rotator) -> None:
        installed = await a.ask(Verb.INSTALL, NEW.text)
        assert column(installed, "node") == [b"a", b"b", b"c"]
        assert column(installed, "result") == [b"done"] * 3
        assert column(installed, "keys") == [[A.encode(), B.encode()]] * 3
        assert column(installed, "kept") == [b"yes", b"yes", b"read-only"]
        assert column(await b.ask(Verb.USE, B), "keys") == [[B.encode(), A.encode()]] * 3
        async with asyncio.timeout(5):
            while column(await b.ask(Verb.LIST), "connections") != [[B.encode()]] * 3:
                pass
        assert column(await c.ask(Verb.REMOVE, A), "keys") == [[B.encode()]] * 3
        assert [node.kept[-1] for node in (a, b, c)] == [Keyring((NEW,))] * 3
        assert all(("down", other) not in node.told for node in (a, b, c) for other in "abc")

    with_three(scenario, [(OLD,)] * 3)


def test_steps_that_are_not_safe_are_refused_before_anybody_takes_them() -> None:
    """What one member lacks or still uses counts, and what it does not say."""

    async def scenario(a: Rotator, b: Rotator, c: Rotator) -> None:
        refused = await a.ask(Verb.USE, B)
        assert refused == f"ERR use refused: a, b lack {B}; install it first"
        assert "primary key of a, b, c" in str(await b.ask(Verb.REMOVE, A))
        assert [len(node.kept) for node in (a, b, c)] == [0, 0, 0]
        a.others = ["b", "c", "d"]
        assert await a.ask(Verb.USE, A) == "ERR use refused: not all live members answer: d"
        assert column(await a.ask(Verb.INSTALL, NEW.text), "result") == [b"done"] * 3 + [b"no answer"]
        assert column(await a.ask(Verb.LIST), "result") == [b"done"] * 3 + [b"no answer"]

    with_three(scenario, [(OLD,), (OLD,), (OLD, NEW)])


def test_whoever_was_away_is_brought_up_to_date_by_the_same_steps() -> None:
    """They change nothing on those that have taken them."""

    async def scenario(a: Rotator, b: Rotator, c: Rotator) -> None:
        assert "c lack" in str(await a.ask(Verb.REMOVE, A)) or "primary key of c" in str(await a.ask(Verb.REMOVE, A))
        assert column(await c.ask(Verb.INSTALL, NEW.text), "result") == [b"done"] * 3
        assert column(await c.ask(Verb.USE, B), "keys") == [[B.encode(), A.encode()]] * 3
        assert [len(node.kept) for node in (a, b, c)] == [0, 0, 2]

    with_three(scenario, [(NEW, OLD), (NEW, OLD), (OLD,)])


def test_a_member_that_keeps_silent_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is refused."""
    monkeypatch.setattr(rotation, "ANSWER_TIMEOUT_S", 0.1)

    async def scenario(a: Rotator, _b: Rotator, c: Rotator) -> None:
        c.links.on_keys = lambda _link, _body: None
        assert await a.ask(Verb.USE, A) == "ERR use refused: not all live members answer: c"
        assert a.rotation._waiting == {}

    with_three(scenario, [(OLD,)] * 3)


def test_nonsense_about_keys_ends_the_link_and_answers_to_nobody_are_ignored() -> None:
    """As with any message of a peer."""

    async def scenario(a: Rotator, b: Rotator, _c: Rotator) -> None:
        (link,) = [link for link in a.links.standing() if link.peer == "b"]
        link.send(frames.KEYS, messages.encode(messages.Report(99, "", (), (), "")))
        link.send(frames.KEYS, messages.encode(Step(5, Verb.REMOVE, A)))
        link.send(frames.KEYS, b"nonsense")
        await b.hears("down", "a")
        assert (b.sealing.ring.keys, b.kept) == ((OLD,), [])

    with_three(scenario, [(OLD,)] * 3)


def test_closing_ends_what_is_under_way() -> None:
    """No task stays behind, and no reply comes."""

    async def scenario(a: Rotator, _b: Rotator, c: Rotator) -> None:
        c.links.on_keys = lambda _link, _body: None
        pending: Pending = a.rotation.command(Verb.LIST, "", 2)
        await asyncio.sleep(0)
        await a.rotation.close()
        assert pending.wire is None
        assert not a.rotation._tasks

    with_three(scenario, [(OLD,)] * 3)
