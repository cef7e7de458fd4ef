"""Large values on their way between nodes: cut into pieces, put together bit by bit, never copied whole. Pure.

What is cut are the words of a value (see `snapshot.Form`). A piece has as many as its limits let in; a word that
does not fit is begun and goes on in the following pieces, which is how a long string travels, for that is one word. In
front of all stands one more word, the beginning of an entry: deadline and tag.

Nothing here takes longer than a piece does, at either end: a long word is written into the memory that it will stay in,
and an aggregate grows by the elements of the piece.
"""

import io
from collections.abc import Iterator
from typing import Any, Final

from respcache.store.packing import NotASnapshot, pack_piece, unpack_piece
from respcache.store.snapshot import (
    DEADLINE_BYTES,
    RAW,
    Form,
    dump_entry,
    form_of,
    form_tagged,
    read_deadline,
    write_deadline,
)
from respcache.store.texts import Readable, Text
from respcache.store.values import STRING_MAX_BYTES, Value

PIECE_BYTES: Final = 128 * 1024
PIECE_WORDS: Final = 1_000
"""What a piece has at most: about a millisecond of work for who takes it in, be it members of a sorted set."""
WORD_MAX_BYTES: Final = STRING_MAX_BYTES + 1024 * 1024
"""A block of a stream is longer than its longest field."""


class Cutter:
    """Cuts an entry into pieces. The value must not change before the last one was cut.

    fresh --next--> cutting --the words are over--> ended
    """

    __slots__ = ("_at", "_bytes_max", "_weight", "_word", "_words", "_words_max", "ended")

    def __init__(
        self,
        value: Value,
        deadline_unix_ms: int | None,
        *,
        bytes_max: int = PIECE_BYTES,
        words_max: int = PIECE_WORDS,
    ) -> None:
        self._words: Final = _entry_words(value, deadline_unix_ms)
        self._bytes_max: Final = bytes_max
        self._weight: Final = form_of(value).weight
        self._words_max: Final = max(1, words_max // self._weight)
        self._word: Readable = b""
        """The word that the last piece has begun."""
        self._at = 0
        """So much of it is out; at its end there is none."""
        self.ended = False
        """Whether the last piece was cut."""

    def next(self) -> tuple[bytes, int]:
        """Cut the next piece, and say how many words it has, or is worth where its words are heavy."""
        words: list[bytes] = []
        room, unfinished = self._bytes_max, 0
        if self._at < len(self._word):
            words.append(bytes(self._word[self._at : self._at + room]))
            self._at += len(words[0])
            room -= len(words[0])
            if self._at < len(self._word):
                return pack_piece(0, words), 1
            self._word, self._at = b"", 0
        while room > 0 and len(words) < self._words_max:
            word = next(self._words, None)
            if word is None:
                self.ended = True
                break
            if len(word) > room:
                self._word, self._at, unfinished = word, room, len(word)
                words.append(bytes(word[:room]))
                break
            words.append(bytes(word))
            room -= len(word)
        return pack_piece(unfinished, words), len(words) * self._weight


class Assembly:
    """Puts an entry together from its pieces. What is none is noticed, and nothing more is made of it then.

    head --first word--> growing --done--> a value, or NotASnapshot
    """

    __slots__ = ("_deadline", "_form", "_grown", "_long", "_missing", "_refused", "_spare")

    def __init__(self) -> None:
        self._form: Form | None = None
        self._deadline: int | None = None
        self._grown: Any = None
        """The value so far; None until its own first word is there."""
        self._spare: list[bytes] = []
        """Words whose companions are still to come."""
        self._long: io.BytesIO | None = None
        """A word that was begun."""
        self._missing = 0
        """So many bytes of it are still to come."""
        self._refused = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece in."""
        if self._refused:
            return
        try:
            unfinished, words = unpack_piece(piece)
            self._take(self._complete(unfinished, words))
        except NotASnapshot:
            self._refused = True

    def done(self) -> tuple[Value, int | None]:
        """Give value and deadline: that was the last piece. Raises NotASnapshot."""
        grown, form = self._grown, self._form
        if self._refused or form is None or grown is None or self._spare or self._long is not None:
            raise NotASnapshot("not the pieces of a value")
        if not grown and form.kind is not bytes and form is not RAW:
            raise NotASnapshot("a value without elements")
        value: Value = grown
        return value, self._deadline

    def _complete(self, unfinished: int, words: list[bytes]) -> list[bytes]:
        """Give the words that are complete with this piece. Raises NotASnapshot."""
        if self._long is not None:
            if not words or len(words[0]) > self._missing:
                raise NotASnapshot("a word that goes on longer than it was said to be")
            self._long.write(words[0])
            self._missing -= len(words[0])
            if self._missing:
                if len(words) > 1 or unfinished:
                    raise NotASnapshot("a word that does not end")
                return []
            words[0] = self._long.getvalue()
            self._long = None
        if unfinished:
            if not words or not len(words[-1]) < unfinished <= WORD_MAX_BYTES:
                raise NotASnapshot("a word that is no longer than its beginning, or too long")
            # The buffer is the word, once it is full: neither is copied. Memory that was never written to is not there.
            self._long = io.BytesIO(bytes(unfinished))
            beginning = words.pop()
            self._long.write(beginning)
            self._missing = unfinished - len(beginning)
        return words

    def _take(self, words: list[bytes]) -> None:
        """Go on with complete words. Raises NotASnapshot."""
        if self._form is None and words:
            self._begin(words.pop(0))
        form = self._form
        if form is None or not words:
            return
        if self._grown is None:
            self._grown = form.begin(words.pop(0))
        some = self._spare + words
        whole = len(some) - len(some) % form.step
        self._spare = some[whole:]
        form.extend(self._grown, some[:whole])

    def _begin(self, head: bytes) -> None:
        self._deadline = read_deadline(head)
        form = form_tagged(head[-1]) if len(head) == DEADLINE_BYTES + 1 else None
        if form is None:
            raise NotASnapshot("no value of a known kind")
        self._form = form


def cut(value: Value, deadline_unix_ms: int | None) -> tuple[bytes, int] | Cutter:
    """Write an entry, and say how many words it has; give what cuts it where that is too much for one piece."""
    count = 1
    if isinstance(value, bytes | Text):
        size = len(value)
    else:
        size = count = 0
        form = form_of(value)
        for word in form.words(value):
            size += len(word)
            count += form.weight
            if size > PIECE_BYTES or count > PIECE_WORDS:
                break
    if size > PIECE_BYTES or count > PIECE_WORDS:
        return Cutter(value, deadline_unix_ms)
    return dump_entry(value, deadline_unix_ms), count


def _entry_words(value: Value, deadline_unix_ms: int | None) -> Iterator[Readable]:
    form = form_of(value)
    yield write_deadline(deadline_unix_ms) + bytes((form.tag,))
    if isinstance(value, Text):
        yield value.body  # not all of it at once
    else:
        yield from form.words(value)
