"""What nodes tell each other of functions and scripts: in the end all know the same, and clients wait until then."""

from collections import deque
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.errors import Busy, CommandError, ProtocolError
from respcache.pending import Pending
from respcache.scripting.functions import Functions, Loaded
from respcache.scripting.sharing import GONE_MAX, PATIENCE_S, Sharing
from respcache.strand import Strand


class Libraries(Functions):
    """Functions that need no Lua."""

    def __init__(self) -> None:
        super().__init__(self.nothing, forget=lambda: None, size_max_bytes=1 << 30)  # type: ignore[arg-type] # not called

    def nothing(self) -> None:
        """Make no Lua."""

    def made(self, code: bytes) -> Loaded:
        """Take any text for a library, whose name it begins with."""
        return Loaded(code[:1], code, ())


class Scripts:
    """The scripts of a node that has none; it can be told that one rests."""

    def __init__(self, functions: Functions, flush: Callable[[], None]) -> None:
        self.functions = functions
        self.flush = flush
        self.strand = Strand()
        self.kills: list[bool] = []
        self.refusal: CommandError | None = None

    def busy(self) -> Busy | None:
        """Let nobody wait for long."""
        return None

    def kill(self, *, function: bool) -> None:
        """Take note."""
        if self.refusal is not None:
            raise self.refusal
        self.kills.append(function)


class Fleet:
    """Nodes, and what is under way between them."""

    def __init__(self, names: str) -> None:
        self.now_unix_ms = 1000
        self.wires: dict[tuple[str, str], deque[bytes]] = {}
        self.flushed: dict[str, int] = dict.fromkeys(names, 0)
        self.libraries = {name: Libraries() for name in names}
        self.scripts: dict[str, Scripts] = {}
        self.nodes = {name: self._node(name) for name in names}

    def _node(self, name: str) -> Sharing:
        def flushed() -> None:
            self.flushed[name] += 1

        scripts = self.scripts[name] = Scripts(self.libraries[name], flushed)
        node = Sharing(name, scripts, now_unix_ms=lambda: self.now_unix_ms)
        node.send = lambda peer, body: self.wires[name, peer].append(body)
        return node

    def link(self, one: str, other: str) -> None:
        """Connect two nodes."""
        self.wires[one, other], self.wires[other, one] = deque(), deque()
        self.nodes[one].connect(other)
        self.nodes[other].connect(one)

    def cut(self, one: str, other: str) -> None:
        """Part two nodes; what is under way is lost."""
        if self.wires.pop((one, other), None) is not None:
            del self.wires[other, one]
            self.nodes[one].disconnect(other)
            self.nodes[other].disconnect(one)

    def relink(self, one: str, other: str) -> None:
        """Connect two nodes anew."""
        if one != other:
            self.cut(one, other)
            self.link(one, other)

    def pass_time(self) -> None:
        """Let the clock go on."""
        self.now_unix_ms += 100

    def settle(self, rng: Random | None = None) -> None:
        """Deliver all that is under way, wires in any order."""
        while full := [ends for ends, wire in self.wires.items() if wire]:
            sender, receiver = rng.choice(full) if rng else full[0]
            self.nodes[receiver].receive(sender, self.wires[sender, receiver].popleft())

    def codes(self, name: str) -> dict[bytes, bytes]:
        """Give the libraries that a node knows."""
        return {name: library.code for name, library in self.libraries[name].libraries.items()}

    def put(self, node: str, code: bytes) -> None:
        """Load a library on a node."""
        self.nodes[node].put([self.libraries[node].made(code)], b"+OK\r\n")


def there(reply: Pending) -> bool:
    """Tell whether a client has been answered."""
    return reply.wire is not None


def test_a_client_is_answered_once_all_have_heard() -> None:
    """Nodes that own nothing among them; one whose link breaks is not waited for."""
    fleet = Fleet("abc")
    fleet.link("a", "b")
    fleet.link("a", "c")
    reply = fleet.nodes["a"].put([Loaded(b"x", b"x1", ())], b"+OK\r\n")
    assert not there(reply)
    fleet.nodes["b"].receive("a", fleet.wires["a", "b"].popleft())
    fleet.nodes["a"].receive("b", fleet.wires["b", "a"].popleft())
    assert not there(reply)
    fleet.cut("a", "c")
    assert reply.wire == b"+OK\r\n"
    assert fleet.codes("b") == {b"x": b"x1"}


def test_a_client_is_answered_in_the_end() -> None:
    """A node that does not answer hears of it with its next link."""
    fleet = Fleet("ab")
    fleet.link("a", "b")
    fleet.nodes["a"].sweep(50.0)
    reply = fleet.nodes["a"].flush_scripts(b"+OK\r\n")
    fleet.nodes["a"].sweep(50.0 + PATIENCE_S)
    assert not there(reply)
    fleet.nodes["a"].sweep(50.1 + PATIENCE_S)
    assert reply.wire == b"+OK\r\n"
    fleet.cut("a", "b")
    fleet.link("a", "b")
    fleet.settle()
    assert fleet.flushed == {"a": 1, "b": 1}


def test_a_new_link_tells_everything_before_anything_else() -> None:
    """The first that a node hears which joins."""
    fleet = Fleet("ab")
    fleet.put("a", b"x1")
    fleet.link("a", "b")
    fleet.nodes["b"].receive("a", fleet.wires["a", "b"].popleft())
    assert fleet.codes("b") == {b"x": b"x1"}


def test_nonsense_cuts_the_link() -> None:
    """And changes nothing."""
    fleet = Fleet("ab")
    for body in (b"", b"\x93", b"\x94\x00\x01\x02\x03", b"\xc1", b"\x95\0\0\x92\0\xa1\x80\x92\0\xa0\x90"):
        with pytest.raises(ProtocolError):
            fleet.nodes["a"].receive("b", body)


def test_deleted_libraries_leave_a_bounded_trace() -> None:
    """The oldest go first."""
    fleet = Fleet("a")
    for number in range(GONE_MAX + 50):
        fleet.nodes["a"].delete(b"%d" % number, b"+OK\r\n")
    assert len(fleet.nodes["a"]._entries) == GONE_MAX
    assert b"49" not in fleet.nodes["a"]._entries


def test_what_was_deleted_does_not_come_back() -> None:
    """A node that did not hear of it is told, and so is one that did not hear of a flush; the last word counts."""
    fleet = Fleet("ab")
    fleet.link("a", "b")
    for code in (b"x1", b"y1", b"z1"):
        fleet.put("a", code)
    fleet.settle()
    fleet.cut("a", "b")
    fleet.nodes["a"].delete(b"x", b"+OK\r\n")
    fleet.put("b", b"y2")
    fleet.link("a", "b")
    fleet.settle()
    assert fleet.codes("a") == fleet.codes("b") == {b"y": b"y2", b"z": b"z1"}
    fleet.cut("a", "b")
    fleet.nodes["a"].replace([], b"+OK\r\n")
    fleet.link("a", "b")
    fleet.settle()
    assert fleet.codes("a") == fleet.codes("b") == {}


def test_a_change_that_fails_on_a_defect_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """It was put off, and so were others: they are made, and the defect is in the log."""
    fleet = Fleet("a")
    node, strand = fleet.nodes["a"], fleet.scripts["a"].strand

    def defective() -> Pending:
        raise RuntimeError("of this program")

    strand.is_resting = True
    first = node.when_idle(defective)
    second = node.when_idle(lambda: node.flush_scripts(b"+OK\r\n"))
    strand.is_resting = False
    node.sweep(1.0)
    assert first.wire is not None
    assert first.wire.startswith(b"-ERR internal error")
    assert second.wire == b"+OK\r\n"
    assert "of this program" in caplog.text


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("put", "delete", "replace", "flush_scripts", "link", "cut", "settle", "later")),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.sampled_from((b"x1", b"x2", b"y1", b"z1")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_all_nodes_agree_in_the_end(steps: list[tuple[str, str, str, bytes]], seed: int) -> None:
    """Whatever was changed where, while which links stood."""
    rng = Random(seed)
    fleet = Fleet("abc")
    changes: dict[str, Callable[[str, str, bytes], object]] = {
        "put": lambda node, _, code: fleet.put(node, code),
        "delete": lambda node, _, code: fleet.nodes[node].delete(code[:1], b"+OK\r\n"),
        "replace": lambda node, _, code: fleet.nodes[node].replace([fleet.libraries[node].made(code)], b"+OK\r\n"),
        "flush_scripts": lambda node, *_: fleet.nodes[node].flush_scripts(b"+OK\r\n"),
        "link": lambda node, other, _: fleet.relink(node, other),
        "cut": lambda node, other, _: fleet.cut(node, other),
        "settle": lambda *_: fleet.settle(rng),
        "later": lambda *_: fleet.pass_time(),
    }
    for verb, node, other, code in steps:
        changes[verb](node, other, code)
    for one, other in ("ab", "bc", "ac"):
        fleet.relink(one, other)
    fleet.settle(rng)
    assert fleet.codes("a") == fleet.codes("b") == fleet.codes("c")
    assert all(not sharing._waiting for sharing in fleet.nodes.values())
    assert len({sharing._scripts_flushed for sharing in fleet.nodes.values()}) == 1
