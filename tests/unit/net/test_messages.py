"""Messages between nodes: what was sent arrives, and nothing else gets through."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.net import messages
from respcache.net.messages import Ask, Greeting, Reply

PARTITIONS = st.lists(st.integers(0, 1023), min_size=1, max_size=4)
ASKS = st.builds(
    Ask,
    st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
    st.integers(0, 1023),
    st.integers(2, 3),
    st.floats(0, 3600),
    st.lists(
        st.tuples(st.integers(0, 2**63 - 1), PARTITIONS, st.lists(st.binary(max_size=20), min_size=1, max_size=5)),
        max_size=5,
    ),
)


@given(st.binary(max_size=100))
def test_any_body_is_a_message_or_a_protocol_error(body: bytes) -> None:
    """Nothing else is raised."""
    for decode in (messages.decode_greeting, messages.decode_ask, messages.decode_answer):
        try:
            decode(body)
        except ProtocolError:
            continue


@pytest.mark.parametrize("head", [b"\x94\xa1a\x01\x01", b"\x98\x01\x92\x01\x01\x00\x02\x00\x91\x00\x91\xc4\x01x"])
def test_what_is_nested_too_deep_is_a_protocol_error(head: bytes) -> None:
    """Fields of a later version are skipped, but not without end."""
    body = head + b"\x91" * 60_000
    for decode in (messages.decode_greeting, messages.decode_ask):
        with pytest.raises(ProtocolError):
            decode(body)


@given(ASKS)
def test_commands_arrive_as_they_were_sent(ask: Ask) -> None:
    """All fields."""
    requests = [(number, tuple(partitions), argv) for number, partitions, argv in ask.requests]
    sent = messages.encode_ask(ask.version, ask.database, ask.protocol, ask.timeout_s, requests)
    assert messages.decode_ask(sent) == ask


@given(st.text(min_size=1, max_size=255), st.integers(0, 2**60))
def test_a_greeting_arrives_as_it_was_sent(name: str, run: int) -> None:
    """Whatever the name, also from a later version, with more fields."""
    greeting = Greeting(name, run)
    assert messages.decode_greeting(messages.encode_greeting(greeting)) == greeting
    assert messages.decode_greeting(msgspec.msgpack.encode([name, run, messages.PROTOCOL, {"more": 1}])) == greeting


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.none() | st.binary(max_size=20)), max_size=5))
def test_answers_arrive_as_they_were_sent(replies: list[Reply]) -> None:
    """Replies and refusals."""
    assert messages.decode_answer(messages.encode_answer(replies)) == replies


@pytest.mark.parametrize(
    "changed",
    [
        {"number": -1},
        {"database": 1024},
        {"protocol": 4},
        {"timeout_s": -1.0},
        {"timeout_s": float("nan")},
        {"partitions": []},
        {"partitions": [1024]},
        {"argv": []},
    ],
)
def test_a_command_out_of_range_is_refused(changed: dict[str, object]) -> None:
    """Nothing behind this has to ask again."""
    request = {"number": 1, "partitions": [1], "argv": [b"GET", b"k"]}
    fields = {"version": (0, 0), "database": 0, "protocol": 2, "timeout_s": 1.0}
    fields |= {name: value for name, value in changed.items() if name in fields}
    request |= {name: value for name, value in changed.items() if name in request}
    body = msgspec.msgpack.encode([*fields.values(), [[1, [1], [b"GET", b"k"]], list(request.values())]])
    with pytest.raises(ProtocolError):
        messages.decode_ask(body)
