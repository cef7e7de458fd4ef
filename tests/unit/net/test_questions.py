"""Requests of one turn, in as few frames as they are alike."""

from respcache.net import frames, messages
from respcache.net.messages import Ask
from respcache.net.questions import FRAME_BYTES, SAME_TIME_S, Questions


class Asked:
    """Notes the frames that questions make."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.questions = Questions(self._frame)
        self._number = 0

    def _frame(self, kind: int, body: bytes) -> None:
        assert kind == frames.ASK
        self.asks.append(messages.decode_ask(body))

    def add(
        self,
        value: bytes = b"",
        *,
        version: tuple[int, int] = (1, 1),
        database: int = 0,
        protocol: int = 2,
        deadline_s: float = 9.0,
        writer: tuple[str, int] | None = None,
    ) -> bool:
        """Add a request."""
        self._number += 1
        request = (self._number, (7,), [b"SET", b"k", value])
        return self.questions.add(request, version, database, protocol, deadline_s, writer, lambda: 4.0)


def test_what_is_alike_goes_in_one_frame() -> None:
    """Deadlines that are next to each other are taken for the same; the first in a frame is told from the others."""
    asked = Asked()
    assert [asked.add(), asked.add(deadline_s=9.0 + SAME_TIME_S / 2), asked.add()] == [True, False, False]
    assert asked.asks == []
    asked.questions.flush()
    asked.questions.flush()
    (ask,) = asked.asks
    assert [number for number, _, _ in ask.requests] == [1, 2, 3]
    assert (ask.version, ask.database, ask.protocol, ask.timeout_s, ask.writer) == ((1, 1), 0, 2, 5.0, 0)


def test_what_is_not_alike_goes_in_frames_of_its_own_and_in_order() -> None:
    """Whatever it is in which it differs; a deadline that has passed leaves no time."""
    asked, writer = Asked(), ("a", 3)
    asked.add()
    asked.add(version=(1, 2))
    asked.add(database=1)
    asked.add(protocol=3)
    asked.add(writer=writer)
    asked.add(writer=writer)
    asked.add(deadline_s=3.0)
    asked.questions.flush()
    assert [[number for number, _, _ in ask.requests] for ask in asked.asks] == [[1], [2], [3], [4], [5, 6], [7]]
    assert [ask.writer for ask in asked.asks] == [0, 0, 0, 0, 3, 0]
    assert asked.asks[-1].timeout_s == 0.0


def test_large_requests_go_at_once() -> None:
    """No frame is larger by more than one request than it may be."""
    asked = Asked()
    assert asked.add(bytes(FRAME_BYTES))
    assert not asked.add(b"x")
    assert len(asked.asks) == 1
    assert asked.add(b"y")
    asked.questions.flush()
    assert [len(ask.requests) for ask in asked.asks] == [2, 1]
