"""Messages between exchanges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.pubsub.audience import Kind
from respcache.pubsub.wire import (
    CHOICE_TIME_MAX_UNIX_MS,
    CHOICES_MAX,
    Asked,
    Choice,
    Counted,
    Heard,
    Message,
    Published,
    Told,
    decode,
    encode,
)

KINDS = st.sampled_from(Kind)
NUMBERS = st.integers(0, 2**63 - 1)
NAMES = st.lists(st.tuples(KINDS, st.binary(max_size=9)), max_size=4)
CHOICES = st.lists(
    st.tuples(st.text(max_size=64), st.integers(0, CHOICE_TIME_MAX_UNIX_MS), st.text(max_size=64)), max_size=4
).map(tuple)
MESSAGES = st.one_of(
    st.builds(Told, NUMBERS, NUMBERS, NAMES, NAMES, CHOICES),
    st.builds(Heard, NUMBERS, NUMBERS),
    st.builds(
        Published,
        NUMBERS,
        st.lists(st.tuples(KINDS, st.binary(max_size=9), st.binary(max_size=9)), min_size=1, max_size=4),
    ),
    st.builds(Asked, NUMBERS, KINDS, st.lists(st.binary(max_size=9), max_size=4)),
    st.builds(Counted, NUMBERS, st.lists(NUMBERS, max_size=4)),
)


@given(MESSAGES)
def test_messages_come_back_as_they_were(message: Message) -> None:
    """All kinds, all values."""
    assert decode(encode(message)) == message


@given(MESSAGES, st.data())
def test_other_bytes_are_refused_or_are_a_message(message: Message, data: st.DataObject) -> None:
    """A changed, cut or lengthened message does nothing else than raise ProtocolError."""
    body = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(body[: data.draw(st.integers(0, len(body)))]) + data.draw(st.binary(max_size=2))
    try:
        decoded = decode(changed)
    except ProtocolError:
        return
    assert decode(encode(decoded)) == decoded


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x90",
        b"\xc0",
        encode(Heard(1, 2)) + b"\0",
        b"\x93\x05\x01\x02",
        b"\x96\0\0\0\x90\x90\x91\x93\xa2\0\x80",  # the name of a setting that is not UTF-8
        b"\x94\x01\0\0" + b"\x91" * 100_000 + b"\0",  # a field too many, nested deeply
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """With the error that cuts the link."""
    with pytest.raises(ProtocolError):
        decode(body)


@pytest.mark.parametrize(
    "choices",
    [
        (("n" * 65, 1, "v"),),
        (("n", 1, "v" * 65),),
        (("n", -1, "v"),),
        (("n", CHOICE_TIME_MAX_UNIX_MS + 1, "v"),),
        (("n", 1, "v"),) * (CHOICES_MAX + 1),
    ],
)
def test_choices_beyond_their_bounds_are_refused(choices: tuple[Choice, ...]) -> None:
    """Long words, times that no clock shows, more settings than there are."""
    with pytest.raises(ProtocolError):
        decode(encode(Told(1, 0, [], [], choices)))
