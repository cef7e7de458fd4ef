"""What a peer asks for: run in order, answered once each."""

from collections.abc import Sequence

import pytest

from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.replication.log import Gate
from respcache.engine.executor import BATCH_REPLIES_BYTES
from respcache.resp.encode import bulk, integer
from respcache.routing import errands
from respcache.routing.errands import Errand
from respcache.store.partition import Argv
from unit.alone import NotedLog
from unit.neighbours import Neighbour, Street, key_of

A, A2, B = key_of("a"), key_of("a", 1), key_of("b")
Answers = dict[int, bytes | None]


def run(node: Neighbour, *requests: Sequence[bytes], database: int = 0, version: tuple[int, int] = (1, 1)) -> Answers:
    """Send requests on keys of `A` and `A2`, as one message; the answers are filled in as they come."""
    answers: Answers = {}

    def answer(number: int, wire: bytes | None) -> None:
        assert number not in answers, "answered twice"
        answers[number] = wire

    numbered = [
        (number, sorted({partition_of(key) for key in argv if key in {A, A2, B}} or {0}), list(argv))
        for number, argv in enumerate(requests)
    ]
    assert errands.run(node.router, Errand(version, database, 2, 105.0), numbered, answer) == len(numbered)
    return answers


def test_requests_are_run_in_the_order_in_which_they_were_sent() -> None:
    """Whether they are on one key or on several, and whatever case they are in."""
    node = Street().nodes["a"]
    answers = run(
        node,
        [b"SET", A, b"1"],
        [b"MGET", A, A2],
        [b"incr", A],
        [b"MSET", A, b"5", A2, b"6"],
        [b"INCR", A],
        [b"INCR", A2],
        [b"LPUSH", A, b"x"],
    )
    assert answers == {
        0: b"+OK\r\n",
        1: b"*2\r\n" + bulk(b"1") + b"$-1\r\n",
        2: integer(2),
        3: b"+OK\r\n",
        4: integer(6),
        5: integer(7),
        6: b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    }


@pytest.mark.parametrize("name", [b"GET", b"MGET"])
def test_answers_that_get_large_end_a_call_early(name: bytes) -> None:
    """Behind the one with which they do, whether it is on one key or on several, and whether it has to wait or not."""
    node = Street().nodes["a"]
    run(node, [b"SET", A, b"v" * (BATCH_REPLIES_BYTES // 2 + 1)], [b"SET", A2, b"w"])
    numbers: list[int] = []
    requests = [(number, [partition_of(A)], [name, A]) for number in range(5)]
    errand = Errand((1, 1), 0, 2, 105.0)
    for ran in (2, 2, 1):
        before = len(numbers)
        left = requests[before:]
        assert errands.run(node.router, errand, left, lambda number, _: numbers.append(number)) == ran
        assert numbers == [0, 1, 2, 3, 4][: before + ran]


@pytest.mark.parametrize(
    ("argv", "database", "answer"),
    [
        ([b"GET", A], 16, b"-ERR DB index is out of range\r\n"),
        ([b"PING"], 0, b"-ERR PING is no command that nodes run for each other\r\n"),
        ([b"GET"], 0, b"-ERR wrong number of arguments for 'get' command\r\n"),
        ([b"NOPE"], 0, b"-ERR unknown command 'NOPE', with args beginning with: \r\n"),
    ],
)
def test_what_no_peer_has_reason_to_ask_is_answered_with_an_error(
    argv: list[bytes], database: int, answer: bytes
) -> None:
    """A peer with more databases, or somebody who only poses as one."""
    assert run(Street().nodes["a"], argv, database=database) == {0: answer}


def test_keys_of_others_go_back_and_do_not_hold_up_the_rest() -> None:
    """Unless the peer knows a newer record: then they wait for that."""
    node = Street().nodes["a"]
    answers = run(node, [b"SET", A, b"1"], [b"GET", B], [b"GET", A])
    assert answers == {0: b"+OK\r\n", 1: None, 2: bulk(b"1")}
    assert run(node, [b"GET", B], [b"GET", A], version=(1, 2)) == {1: bulk(b"1")}


def test_answers_that_depend_on_effects_wait_and_no_others() -> None:
    """They have one gate; if it can no longer be known what became of the effects, they say so."""
    for committed, expected in ((True, b"+OK\r\n"), (False, b"-UNCERTAIN")):
        street = Street(log=NotedLog())
        node = street.nodes["a"]
        gate = Gate([], {})
        node.gates.append(gate)
        answers = run(node, [b"GET", A2], [b"SET", A, b"1"], [b"SET", A2, b"1"])
        assert answers.pop(0) == b"$-1\r\n"
        assert answers == {}
        gate.committed = committed
        node.router.held.resolved([gate])
        assert [answers[number] or b"" for number in (1, 2)] == [answers[1], answers[1]]
        assert (answers[1] or b"").startswith(expected)


class BrokenLog(NotedLog):
    """A log with a defect."""

    def append(self, database: int, argv: Argv) -> None:
        """Fail."""
        del database, argv
        raise RuntimeError


def test_a_command_that_fails_on_a_defect_takes_no_other_with_it() -> None:
    """Its answer is an error, whether it is on one key or on several, and those behind it are run."""
    node = Street(log=BrokenLog()).nodes["a"]
    answers = run(node, [b"GET", A2], [b"SET", A, b"1"], [b"GET", A2], [b"MSET", A, b"2"], [b"GET", A2])
    failed, null = b"-ERR internal error\r\n", b"$-1\r\n"
    assert answers == {0: null, 1: failed, 2: null, 3: failed, 4: null}


@pytest.mark.parametrize("refused", [[b"LPUSH", A, b"x"], [b"SUNION", A, A2]], ids=["one key", "several"])
def test_a_refusal_waits_for_what_it_tells_of(refused: list[bytes]) -> None:
    """What it has seen may still be lost."""
    node = Street(("a",), log=NotedLog()).nodes["a"]
    gates = [Gate([], {}), Gate([], {})]
    node.gates.extend(gates)
    assert run(node, [b"SET", A, b"v"]) == {}
    answers = run(node, refused)
    assert answers == {}
    for gate in gates:
        gate.committed = True
    node.router.held.resolved(gates)
    assert answers == {0: b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"}
