"""Frames that are too large for one message: cut into parts, and put together again bit by bit.

What is cut are the words of effects: a part has as many as fit into it, and a word that does not fit is begun and
goes on in the following parts. Parts have no number that counts: the frame itself comes behind the last one, empty,
and says how many there were. Only then is anything applied and acked, so a frame is taken in as a whole, as ever,
and whoever waits for its number waits for all of it.

    frame --next--> part 0, part 1 ... --> frame         (Parts, at the sender)
    nothing --part 0--> gathering --frame--> its items   (Gathering, at the receiver)

A link that breaks in between takes with it what was gathered; the next one begins with part 0 again.

Nothing here takes longer than a part does, at either end, and no long word is copied as a whole: it is cut out of the
memory that the store has it in, and is written at the other end into the memory that it will stay in.
"""

import io
from typing import Final

from respcache.cluster.ownership.record import Version
from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.items import NOTHING, STAMP, Items, Place, last_of
from respcache.cluster.replication.wire import Part, decode_part, encode_frame, encode_part

FRAME_BYTES: Final = 256 * 1024
"""Larger frames travel in parts, none of which is larger: half a millisecond of work at either end."""
WORD_BYTES: Final = 32
"""What a word costs besides its own bytes: a part of short ones is to take no longer than others."""


def size_of(items: Items) -> int:
    """Give the bytes that some effects count for."""
    return WORD_BYTES * (len(items) + len(items.words)) + sum(map(len, items.words))


class Parts:
    """A frame on its way out, part by part.

    fresh --next--> cutting --the frame itself--> ended
      ^----------------- restart -------------------'
    """

    __slots__ = ("_argument", "_at", "_bytes_max", "_items", "_number", "_place", "_size", "_version", "cut", "ended")

    def __init__(self, number: int, version: Version, items: Items, size: int, bytes_max: int) -> None:
        """`items`, which count for `size` bytes, must not change any more, and no part is larger than `bytes_max`."""
        self._number: Final = number
        self._version: Final = version
        self._items: Final = items
        self._size: Final = size
        self._bytes_max: Final = bytes_max
        self._place = Place()
        self._argument = self._at = 0
        """Where in that item the next part begins: the word, and the byte of it."""
        self.cut = 0
        """Parts cut so far."""
        self.ended = False
        """Whether the frame itself has been given, too."""

    def __len__(self) -> int:
        """Give the bytes that it counts for."""
        return self._size

    def restart(self) -> None:
        """Begin again, for another link."""
        self._place = Place()
        self._argument = self._at = self.cut = 0
        self.ended = False

    def next(self) -> bytes:
        """Encode the next part, or, behind the last one, the frame."""
        numbers, words, place = self._items.numbers, self._items.words, self._place
        if place.at == len(numbers):
            self.ended = True
            return encode_frame(self._number, self._version, Items([], []), self.cut)
        goes_on, unfinished, room = self._argument > 0 or self._at > 0, 0, self._bytes_max
        taken = Items([], [])
        while place.at < len(numbers) and room > 0:
            partition, epoch, sequence, database = place.stamp(self._items)
            count = numbers[place.at + STAMP + place.taken]
            argv: list[bytes] = []
            while self._argument < count and room > 0:
                word, at = words[place.word + self._argument], self._at
                if len(word) - at > room:
                    argv.append(word[at : at + room])
                    self._at, unfinished, room = at + room, len(word), 0
                    break
                argv.append(word[at:])
                room -= WORD_BYTES + len(word) - at
                self._argument, self._at = self._argument + 1, 0
            room -= WORD_BYTES
            taken.add(partition, epoch, sequence, database, argv)
            if self._argument == count:
                place.go_on(self._items)
                self._argument = 0
        self.cut += 1
        return encode_part(self._number, self.cut - 1, goes_on, unfinished, taken)


class Gathering:
    """A frame on its way in."""

    __slots__ = ("_keep_max", "_kept_bytes", "_last", "_long", "_missing", "bytes", "items", "kept", "parts")

    def __init__(self, keep_max: int = 0) -> None:
        """Its parts are kept as they came as long as all of them have no more than `keep_max` bytes."""
        self._keep_max: Final = keep_max
        self._kept_bytes = 0
        self.kept: list[bytes] = []
        """The parts, or none where that would be too much."""
        self.items: Final = Items([], [])
        self._long: io.BytesIO | None = None
        """A word that was begun."""
        self._missing = 0
        """So many bytes of it are still to come."""
        self._last = NOTHING
        """The stamp of the last item, with which the next part may go on."""
        self.parts = 0
        """So many have come."""
        self.bytes = 0
        """What is held for them."""

    @property
    def is_whole(self) -> bool:
        """Whether all words are complete that were begun."""
        return self._missing == 0

    def add(self, part: Part, encoded: bytes) -> None:
        """Take the next part in. Raises DecodeError if it is not the one that should come."""
        if part.index != self.parts or not part.numbers or not part.items.sound:
            raise DecodeError(f"part {part.index} of frame {part.number}, where {self.parts} should be")
        self.parts += 1
        self.bytes += len(encoded)
        self._take(part)
        if self._kept_bytes <= self._keep_max:
            self._kept_bytes += len(encoded)
            self.kept.append(encoded)
            if self._kept_bytes > self._keep_max:
                self.kept.clear()

    def _take(self, part: Part) -> None:
        """Add the words of a part. Raises DecodeError."""
        numbers, words, items = part.numbers, part.words, self.items
        if part.goes_on:
            if self._last != (numbers[0], numbers[1], numbers[2], numbers[3]):
                raise DecodeError(f"part {part.index} of frame {part.number} goes on with another effect")
            if self._long is not None:
                word = self._go_on(self._long, words[: numbers[STAMP]])
                if word is None:
                    if len(words) > 1 or len(part.items) > 1:
                        raise DecodeError(f"a word of frame {part.number} that does not end")
                    return
                words[0] = word
            items.numbers[-1] += numbers[STAMP]
            if numbers[STAMP - 1] > 1:
                items.numbers.extend((numbers[0], numbers[1], numbers[2] + 1, numbers[3], numbers[STAMP - 1] - 1))
            items.numbers.extend(numbers[STAMP + 1 :])
        elif self._long is not None:
            raise DecodeError(f"part {part.index} of frame {part.number} leaves a word unfinished")
        else:
            items.numbers.extend(numbers)
        items.words.extend(words)
        self._last = last_of(part.items)
        if part.unfinished:
            self._begin(part.unfinished)

    def _begin(self, length: int) -> None:
        """Make room for a word of which the beginning is the last that came. Raises DecodeError."""
        items = self.items
        if not items.numbers[-1] or len(items.words[-1]) >= length:
            raise DecodeError("a word that is no longer than its beginning")
        # The buffer is the word, once it is full: neither is copied. Memory that was never written to is not there.
        self._long = io.BytesIO(bytes(length))
        self._missing = length - self._long.write(items.words.pop())
        items.numbers[-1] -= 1

    def _go_on(self, long: io.BytesIO, words: list[bytes]) -> bytes | None:
        """Write more of a word that was begun; give it if it is complete. Raises DecodeError."""
        if not words or len(words[0]) > self._missing:
            raise DecodeError("a word that goes on for longer than it was said to")
        self._missing -= long.write(words[0])
        if self._missing:
            return None
        self._long = None
        return long.getvalue()


def gathered_again(parts: list[bytes]) -> Items:
    """Read the effects in parts again that have been gathered before."""
    gathering = Gathering()
    for encoded in parts:
        gathering.add(decode_part(encoded), encoded)
    return gathering.items
