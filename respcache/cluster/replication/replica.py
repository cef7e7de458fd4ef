"""The replicas' side of replication: apply frames in order, ack them, know how far each copy got.

A frame is applied at once and acked with the next flush. What a copy refuses, because
the sender is not its primary any more or an effect is missing, it names in the ack.
"""

from collections.abc import Iterable
from typing import Final

from respcache.cluster.ownership.record import Life
from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.checking import equals
from respcache.cluster.replication.inbound import Arriving, Copy, Inbound, apply_next
from respcache.cluster.replication.items import Item, Place, items_of
from respcache.cluster.replication.parts import Gathering
from respcache.cluster.replication.storage import Storage
from respcache.cluster.replication.tail import TAIL_BYTES, Tail
from respcache.cluster.replication.wire import (
    ABSENT,
    BEGIN,
    CHECK,
    END,
    LAST,
    PIECE,
    USES,
    VALUES,
    Ack,
    Frame,
    Part,
    encode_frame,
)

GATHERED_MAX_BYTES: Final = 4 * 1024 * 1024 * 1024
"""What a peer may have this node hold of frames that are not complete: eight values of the largest size."""
UNKNOWN: Final = -1
"""The position of a copy that is not whole."""


class Replica:
    """All copies of this node, and the streams that feed them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.copies: dict[int, Copy] = {}
        self._inbound: dict[Life, Inbound] = {}
        self.tail = Tail()
        self.effects = 0
        """Items applied."""
        self.refusals = 0
        self.orphans: list[tuple[int, int]] = []
        """(partition, keys) of orphaned copies that have been replaced; the owner takes them away."""
        self.differing: list[int] = []
        """Partitions whose copies were found to differ; the owner takes them away."""
        self.differed = 0
        """How many there were so far."""
        self.keys_in = 0
        self.bytes_in = 0
        """Keys and bytes of values that came with copies in the making."""

    def inbound(self, life: Life) -> Inbound:
        """Return what arrives from a life of a peer. Former lives of that name are forgotten."""
        inbound = self._inbound.get(life)
        if inbound is None:
            for other in [other for other in self._inbound if other[0] == life[0]]:
                del self._inbound[other]
            inbound = self._inbound[life] = Inbound(life)
        return inbound

    def applied(self, name: str) -> tuple[int, int]:
        """Return the last known life of a peer and the number of its last frame that was applied; (0, 0) for none."""
        for inbound in self._inbound.values():
            if inbound.life[0] == name:
                inbound.unacked = inbound.has_news = True  # a former ack may have been lost with its link
                return inbound.life[1], inbound.applied
        return 0, 0

    def follow(self, partition: int, epoch: int, source: Life | None) -> Copy:
        """Take the effects of a partition, in an epoch, from its primary alone."""
        copy = self.copies.get(partition)
        if copy is None:
            copy = self.copies[partition] = Copy()
        copy.epoch = epoch
        copy.source = None if source is None else self.inbound(source)
        return copy

    def position(self, partition: int, epoch: int) -> int:
        """Return the sequence of the last effect that a copy has, UNKNOWN unless it is whole and of that epoch."""
        copy = self.copies.get(partition)
        return copy.sequence if copy is not None and copy.whole and copy.epoch == epoch else UNKNOWN

    def gather(self, inbound: Inbound, part: Part, encoded: bytes) -> None:
        """Keep a part of a frame until all of it is there. Raises DecodeError for one that does not fit."""
        inbound.unacked = True
        number = part.number
        if number <= inbound.applied:
            return
        gathering = inbound.gathered.pop(number, None)
        if gathering is not None and not part.index:
            raise DecodeError(f"frame {number} begins again")
        gathering = inbound.gathered[number] = gathering or Gathering(TAIL_BYTES)
        gathering.add(part, encoded)
        inbound.arrived = (number, gathering.parts)
        if inbound.gathered_bytes > GATHERED_MAX_BYTES:
            raise DecodeError(f"more than {GATHERED_MAX_BYTES} bytes of frames that do not end")

    @property
    def arriving_bytes(self) -> int:
        """Count what is held of frames that are not complete."""
        return sum(inbound.gathered_bytes for inbound in self._inbound.values())

    def check(self, inbound: Inbound, frame: Frame) -> None:
        """Raise DecodeError if that is no frame, or parts of it are missing."""
        if not frame.items.sound:
            raise DecodeError(f"frame {frame.number} is not made of effects")
        if frame.parts and frame.number > inbound.applied:
            gathering = inbound.gathered.get(frame.number)
            if gathering is None or gathering.parts != frame.parts or not gathering.is_whole:
                raise DecodeError(f"frame {frame.number} without all of its {frame.parts} parts")

    def unlinked(self, name: str) -> None:
        """Lose the parts of frames that a peer has sent: all of them will come again."""
        for inbound in self._inbound.values():
            if inbound.life[0] == name:
                inbound.gathered.clear()
                inbound.arrived = (0, 0)

    def receive(self, inbound: Inbound, frame: Frame, encoded: bytes) -> None:
        """Apply a frame, given as it came, too. One that has been applied before, on an earlier link, is only acked."""
        inbound.unacked = True
        gathering = inbound.gathered.get(frame.number) if frame.parts else None
        if frame.number <= inbound.applied or (frame.parts and gathering is None):  # the latter: of a life that is over
            return
        inbound.applied = frame.number
        items, apply = frame.items if gathering is None else gathering.items, self._storage.apply
        if inbound.gathered:  # what is older was given up by its sender
            inbound.gathered = {number: rest for number, rest in inbound.gathered.items() if number > frame.number}
        plain, void = True, set[tuple[int, ...]]()
        place, end = Place(), len(items.numbers)
        apply_next(items, place, self.copies, inbound, apply)
        while place.at < end:
            plain, item = False, place.take(items)
            if item[3] >= 0:
                void.add(item[:3])
            self._receive_odd(inbound, item)
            apply_next(items, place, self.copies, inbound, apply)
        self.effects += len(items)
        if gathering is not None and not void:
            self.tail.keep(gathering.kept)
        elif plain:
            self.tail.keep(encoded)
        elif effects := items_of(*[item for item in items if item[3] >= 0 and item[:3] not in void]):
            self.tail.keep(encode_frame(frame.number, frame.version, effects))
        if inbound.failure is not None:
            failure, inbound.failure = inbound.failure, None
            raise failure

    def acks(self) -> Iterable[tuple[str, Ack]]:
        """Yield one ack for each peer that has sent something since the last call."""
        for inbound in self._inbound.values():
            if inbound.unacked:
                refused = tuple(inbound.refused.items()) if inbound.has_news else None
                inbound.unacked = inbound.has_news = False
                yield inbound.life[0], Ack(inbound.life[1], inbound.applied, refused, inbound.arrived)

    def _receive_odd(self, inbound: Inbound, item: Item) -> None:
        """Take a step of a copy in the making, or find out why an effect does not fit."""
        partition, epoch, sequence, kind, argv = item
        copy = self.copies.get(partition)
        if copy is None or copy.epoch != epoch or copy.source is not inbound:
            self._refuse(inbound, partition, epoch)
        elif kind == BEGIN:
            self._begin(copy, inbound, partition, sequence)
        elif kind == END:
            copy.learning, copy.whole, copy.arriving = False, copy.learning, None
        elif kind == CHECK:
            if copy.whole and not (sequence == copy.sequence and equals(self._storage, partition, argv)):
                copy.void()
                self.differing.append(partition)
                self.differed += 1
                self._refuse(inbound, partition, epoch)
        elif kind >= 0:
            told = not (copy.learning or copy.whole) and inbound.refused.get(partition) == epoch
            if sequence > copy.sequence and not told:
                self._give_up(copy, inbound, partition)
        elif copy.learning and not self._fits(copy, inbound, partition, kind, argv):
            self._give_up(copy, inbound, partition)

    def _begin(self, copy: Copy, inbound: Inbound, partition: int, sequence: int) -> None:
        """Begin a copy afresh, as of an effect."""
        keys = self._storage.drop(partition)
        if copy.orphaned and keys:
            self.orphans.append((partition, keys))
        copy.orphaned = False
        copy.sequence = copy.floor = sequence
        copy.learning, copy.whole, copy.arriving = True, False, None
        inbound.has_news |= inbound.refused.pop(partition, None) is not None

    def _fits(self, copy: Copy, inbound: Inbound, partition: int, kind: int, argv: list[bytes]) -> bool:
        """Take a step of a copy; False if it is not the next one, or fails."""
        try:
            return self._take(copy, partition, kind, argv)
        except Exception as failure:  # noqa: BLE001 # `receive` raises it
            inbound.failure = failure
            return False

    def _take(self, copy: Copy, partition: int, kind: int, argv: list[bytes]) -> bool:
        """Put the keys of a chunk, or go on with a large value; False if it does not go on like that."""
        restore = self._storage.restore
        if kind == VALUES:
            for database, key, blob in zip(argv[::3], argv[1::3], argv[2::3], strict=False):
                restore(partition, _number(database), key, blob)
                self.bytes_in += len(blob)
            self.keys_in += len(argv) // 3
        elif kind == ABSENT:
            for database, key in zip(argv[::2], argv[1::2], strict=False):
                restore(partition, _number(database), key, None)
        elif kind == USES:
            for database, key, use in zip(argv[::3], argv[1::3], argv[2::3], strict=False):
                self._storage.used(partition, _number(database), key, use)
        elif kind in (PIECE, LAST):
            return self._take_piece(copy, partition, argv, last=kind == LAST)
        return True

    def _take_piece(self, copy: Copy, partition: int, argv: list[bytes], *, last: bool) -> bool:
        """Take a part of a large value in; False if it is not the one that should come now."""
        if len(argv) != 4:  # database, key, number, piece
            return False
        database, key, number, piece = argv
        arriving = copy.arriving
        if number == b"0":
            assembly = self._storage.assemble(partition, _number(database), key)
            arriving = copy.arriving = Arriving((database, key), assembly)
        elif arriving is None or arriving.at != (database, key) or number != b"%d" % arriving.pieces:
            return False
        arriving.pieces += 1
        arriving.assembly.feed(piece)
        self.bytes_in += len(piece)
        if last:
            arriving.assembly.place()
            self.keys_in += 1
            copy.arriving = None
        return True

    def _give_up(self, copy: Copy, inbound: Inbound, partition: int) -> None:
        """Take nothing more of a partition until its copy is made afresh."""
        copy.void()
        self._refuse(inbound, partition, copy.epoch)

    def _refuse(self, inbound: Inbound, partition: int, epoch: int) -> None:
        inbound.refused[partition] = epoch
        inbound.has_news = True
        self.refusals += 1


def _number(digits: bytes) -> int:
    """Read the number of a database; what is none counts as 0, since a replica has nobody to complain to."""
    return int(digits) if digits.isdigit() and len(digits) <= 9 else 0
