"""Copies in the making: a partition travels to a learner while its commands go on.

On the stream to the learner, in order with the effects: BEGIN, chunks of keys, END.
From BEGIN on the learner also gets every effect of the partition. A chunk carries
each key's value at the moment it is cut, and it is cut between effects.
Where a node keeps how keys are used, that follows behind their values (USES); no copy has to be equal in it.

Why the learner ends with an equal copy. Call a key *pending* while it is queued
here, or is of those not listed yet, *settled* otherwise. Claim: at every point of the stream the learner, having
applied it that far, has of every settled key what the primary had at that point.
- BEGIN: the learner forgets the partition. Its keys are listed from then on, by their places, some at a time.
- Some are listed: those that exist are queued. A key of these places that does not exist, and that no effect has
  touched since BEGIN, is settled: both have nothing, the primary because it would not have lost it without an effect.
  What an effect has touched before it was listed was queued then.
- A chunk: its keys become settled, with the primary's values, or with none if they
  were deleted meanwhile (ABSENT). Nothing else changes.
- An effect on one settled key finds on the learner what it found on the primary, and
  effects are deterministic: the key stays equal; created and deleted ones included.
- An effect on one pending key may do anything to it on the learner, or nothing; the
  key is pending and its chunk comes later.
- An effect on several keys might read a pending key and write a settled one. All its
  keys are queued again, which makes them pending; the claim says nothing of them.
- An effect without keys empties databases: settled keys vanish on both sides, pending
  ones will arrive as absent.
- Or it exchanges two databases: settled keys are exchanged on both sides, and the queue is renamed, as is what is still
  to be listed, so what was pending in one is pending in the other.
- A value that is too large for one chunk is cut into pieces, over many steps. Its key stays pending until the
  last one, and the learner keeps what it has of it aside. An effect on the key makes the pieces void: the key is
  queued again, behind all others, and the next piece is a first one. So when the last piece is cut nothing has
  changed the value since the first, and all of them together are what the primary has at that point: it settles
  the key like a chunk.
END is cut when no key is pending. From there on the copy is equal, and effects keep it so.

A value that is written to all the time would never arrive. So after RESTARTS attempts that were void its partition is
*withheld*: writes to it wait, as they do under backpressure, until the value is through.

A step may have to wait for its allowance, where an operator bounds the bytes a second. What is withheld does not wait,
and is not counted: a client does, and one value at that rate could take minutes.

If the learner dies, the link breaks for good, or this node stops being the primary,
nothing has changed but data on a node that does not count: the next BEGIN starts over.
"""

import math
from collections import defaultdict, deque
from typing import Final

from respcache.cluster.replication.allowance import Allowance
from respcache.cluster.replication.log import Log, Stream
from respcache.cluster.replication.storage import KeyList, Pieces, Storage, StoredKey
from respcache.cluster.replication.wire import ABSENT, BEGIN, END, LAST, PIECE, USES, VALUES

STEP_BYTES: Final = 512 * 1024
"""Bytes dumped in one step, exceeded by at most one piece."""
WORDS_PER_KEY: Final = 2
"""Words of a value that count as a key: so a step is a piece, which may take the learner 5 us a word, as members of a
large sorted set do."""
KEYS_PER_PARTITION: Final = 4
"""To begin and end a copy takes the learner as long as so many keys, though the partition may be empty."""
RESTARTS: Final = 3
"""How often pieces of a large value may be void before writes to it have to wait."""
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Bytes to a peer that may be un-acked before the next chunk is cut."""
WINDOW_STEPS: Final = 4
"""Steps to a peer that may be un-acked before the next one. What is on its way stands in front of leases and new
records on the same link: 4 MB of small elements kept a learner busy for seconds, in which nodes lost their leases."""


class Large:
    """One value that is cut into pieces."""

    __slots__ = ("cut", "pieces", "stored")

    def __init__(self, stored: StoredKey, pieces: Pieces) -> None:
        self.stored, self.pieces = stored, pieces
        self.cut = 0
        """Pieces cut so far."""


class Job:
    """One partition on its way to one learner: queued, cut chunk by chunk, ended, and acked."""

    __slots__ = ("again", "beginning", "begun", "end", "keys", "large", "log", "restarts", "stream")

    def __init__(self, log: Log, stream: Stream) -> None:
        self.log, self.stream = log, stream
        self.begun = False
        self.keys = KeyList()
        """Keys not sent yet."""
        self.again: dict[StoredKey, None] = {}
        """Keys to be sent after those: effects on several keys, or from before they were listed, touched them."""
        self.large: Large | None = None
        """The value that is being cut into pieces."""
        self.restarts: dict[StoredKey, int] = {}
        """How often the pieces of each value were void."""
        self.beginning = 0
        """The number of the frame with the BEGIN in it."""
        self.end = 0
        """The number of the frame with the END in it, once it is cut."""

    def exchange(self, one: int, other: int) -> None:
        """Two databases were exchanged: what was to be sent of one is to be sent of the other."""
        names = {one: other, other: one}
        self.keys.exchange(one, other)
        self.again = {(names.get(number, number), key): None for number, key in self.again}
        self.restarts = {(names.get(at[0], at[0]), at[1]): count for at, count in self.restarts.items()}
        if self.large is not None:
            number, key = self.large.stored
            self.large.stored = (names.get(number, number), key)


class Copying:
    """All copies that this node is making for others. One at a time to each learner, several learners at once."""

    def __init__(self, storage: Storage, *, step_keys: int, bytes_per_s: int = 0) -> None:
        """`bytes_per_s` is how much is sent to all learners together; 0 for as much as they take."""
        self._storage, self._step_keys = storage, step_keys
        self.allowance: Final = Allowance(bytes_per_s)
        self._queues: dict[Stream, deque[Job]] = {}
        self._ended: dict[Stream, deque[Job]] = {}
        self._jobs: defaultdict[int, dict[Stream, Job]] = defaultdict(dict)
        self._under_way: defaultdict[Stream, deque[int]] = defaultdict(deque)
        """The numbers of the frames with steps in them that may not be acked yet."""
        self.pending = 0
        """Copies not acked yet."""
        self.still = False
        """Whether nothing is cut for now: effects pile up behind something that has not come to its end."""
        self.withheld: Final[set[int]] = set()
        """Partitions whose writes have to wait for a value that would not hold still."""
        self.keys_out = 0
        self.bytes_out = 0

    def add(self, log: Log, stream: Stream) -> None:
        """Make a copy for a learner, unless it is being made."""
        if stream not in self._jobs[log.partition]:
            job = self._jobs[log.partition][stream] = Job(log, stream)
            self._queues.setdefault(stream, deque()).append(job)
            self.pending += 1

    def cancel(self, partition: int, stream: Stream) -> bool:
        """Give a copy up; return whether there was one to give up."""
        job = self._jobs[partition].pop(stream, None)
        if job is None:
            return False
        self.pending -= 1
        for queues in (self._queues, self._ended):
            if job in queues.get(stream, ()):
                queues[stream].remove(job)
        self._detach(job)
        return True

    def refused(self, partition: int, stream: Stream, number: int) -> bool:
        """A learner could not go on, as of an ack of frame `number`: give the copy up, if it had begun by then."""
        job = self._jobs[partition].get(stream)
        return job is not None and job.begun and job.beginning <= number and self.cancel(partition, stream)

    def streams_of(self, partition: int) -> list[Stream]:
        """Return the streams of the learners that a partition is being copied to."""
        return list(self._jobs.get(partition, ()))

    def receiving(self, partition: int) -> list[Stream]:
        """Return those of them for which the copy has begun: they get the effects."""
        jobs = self._jobs.get(partition)
        return [stream for stream, job in jobs.items() if job.begun] if jobs else []

    def touched(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Queue the keys of an effect on several keys, one that is not listed yet, or one that there are pieces of."""
        exchanged = self._storage.databases_of(argv)
        keys = [] if exchanged is not None else self._storage.keys_of(database, argv)
        for queue in self._queues.values():
            job = queue[0] if queue else None
            if job is not None and job.begun and job.log.partition == partition:
                if exchanged is not None:
                    job.exchange(*exchanged)
                if len(keys) > 1 or (keys and job.keys.has_yet_to_list(keys[0])):
                    job.again.update(dict.fromkeys(keys))
                if job.large is not None and (not keys or job.large.stored in keys):
                    self._restart(job, job.large.stored)

    def _restart(self, job: Job, stored: StoredKey) -> None:
        """Begin a large value anew later: it has changed."""
        job.large = None
        job.again[stored] = None
        job.restarts[stored] = restarts = job.restarts.get(stored, 0) + 1
        if restarts >= RESTARTS:
            self.withheld.add(job.log.partition)

    @property
    def runnable(self) -> bool:
        """Whether a step would do something, once it is due."""
        return not self.still and any(queue and self._has_room(stream) for stream, queue in self._queues.items())

    @property
    def due_s(self) -> float:
        """When a step may be taken: infinite while it would do nothing, and long ago if it need not wait."""
        if not self.runnable:
            return math.inf
        hurried = self.withheld and any(self._hurries(stream) and self._has_room(stream) for stream in self._queues)
        return -math.inf if hurried else self.allowance.due_s

    def _hurries(self, stream: Stream) -> bool:
        """Whether writes wait for what is next on its way to a peer."""
        queue = self._queues[stream]
        return bool(queue) and queue[0].log.partition in self.withheld

    def _has_room(self, stream: Stream) -> bool:
        """Whether a peer may be sent another step."""
        steps = self._under_way[stream]
        while steps and (not stream.unacked or steps[0] < stream.unacked[0][0]):
            steps.popleft()  # acked, or not kept any more because the peer did not ack
        return len(steps) < WINDOW_STEPS and stream.unacked_bytes < WINDOW_BYTES

    def step(self, now: float, number: int) -> None:
        """Cut some chunks into the open frames, which have this number, within the limits of one step; if it is due."""
        if self.still:
            return
        allowed, before = now >= self.allowance.due_s, self.bytes_out
        ready = [stream for stream, queue in self._queues.items() if queue and self._has_room(stream)]
        if not allowed:
            ready = [stream for stream in ready if self._hurries(stream)]
        for stream in ready:
            self._under_way[stream].append(number)
            queue = self._queues[stream]
            keys = max(1, self._step_keys // len(ready))
            size = max(1, self.allowance.step_bytes(STEP_BYTES) // len(ready))
            while queue and keys > 0 and size > 0:
                job = queue[0]
                if not job.begun:
                    self._begin(job, number)
                keys_cut, bytes_cut = self._chunk(job, keys, size)
                keys -= keys_cut + KEYS_PER_PARTITION
                size -= bytes_cut
                if not job.keys and not job.again and job.large is None:
                    self._end(job, number)
                    queue.popleft()
        if allowed:
            self.allowance.take(now, self.bytes_out - before)

    def acked(self, stream: Stream) -> list[Job]:
        """Return the jobs whose learner has acked the END; they are done."""
        ended, done = self._ended.get(stream), []
        while ended and ended[0].end <= stream.acked:
            job = ended.popleft()
            del self._jobs[job.log.partition][stream]
            self.pending -= 1
            done.append(job)
        return done

    def _begin(self, job: Job, number: int) -> None:
        log = job.log
        job.begun, job.beginning = True, number
        job.keys = KeyList(self._storage, log.partition)
        self._put(job, BEGIN, [])
        log.attach((*log.streams, job.stream), log.required)
        log.copying = self

    def _chunk(self, job: Job, keys_max: int, bytes_max: int) -> tuple[int, int]:
        """Cut one chunk; return how many keys that is, or is worth, and the bytes in it."""
        values: list[bytes] = []
        absent: list[bytes] = []
        uses: list[bytes] = []
        keys = size = 0
        while (job.keys or job.again or job.large is not None) and keys < keys_max and size < bytes_max:
            if job.large is not None:
                piece_bytes, words = self._piece(job, job.large)
                size += piece_bytes
                keys += 1 + words // WORDS_PER_KEY
                continue
            stored = job.keys.pop() if job.keys else job.again.popitem()[0]
            if stored is None:
                keys += 1
                continue
            database, key = stored
            found = self._storage.cut(job.log.partition, database, key)
            if found is None:
                absent += (b"%d" % database, key)
            elif isinstance(found, tuple):
                blob, words = found
                values += (b"%d" % database, key, blob)
                size += len(blob) + self._use(job, stored, uses)
                keys += words // WORDS_PER_KEY
            else:
                job.large = Large((database, key), found)
            size += len(key)
            keys += 1
        for kind, argv in ((VALUES, values), (ABSENT, absent), (USES, uses)):
            if argv:
                self._put(job, kind, argv)
        self.keys_out += len(values) // 3
        self.bytes_out += size
        return keys, size

    def _piece(self, job: Job, large: Large) -> tuple[int, int]:
        """Cut one piece of a large value; return the bytes and the words in it."""
        piece, words = large.pieces.next()
        database, key = large.stored
        ended = large.pieces.ended
        self._put(job, LAST if ended else PIECE, [b"%d" % database, key, b"%d" % large.cut, piece])
        large.cut += 1
        if ended:
            uses: list[bytes] = []
            if self._use(job, large.stored, uses):
                self._put(job, USES, uses)
            job.large = None
            job.restarts.pop(large.stored, None)
            self.withheld.discard(job.log.partition)
            self.keys_out += 1
        return len(piece), words

    def _use(self, job: Job, stored: StoredKey, uses: list[bytes]) -> int:
        """Add how a key is used, if that is kept; return the bytes of it."""
        database, key = stored
        use = self._storage.use(job.log.partition, database, key)
        if use is None:
            return 0
        uses += (b"%d" % database, key, use)
        return len(key) + len(use)

    def _put(self, job: Job, kind: int, argv: list[bytes]) -> None:
        log = job.log
        job.stream.open.add(log.partition, log.epoch, log.sequence, kind, argv)

    def _end(self, job: Job, number: int) -> None:
        self._put(job, END, [])
        job.end = number
        self._ended.setdefault(job.stream, deque()).append(job)
        self._detach(job)

    def _detach(self, job: Job) -> None:
        """Stop watching a partition's effects once no copy of it is being cut."""
        self.withheld.discard(job.log.partition)
        active = (queue[0] for queue in self._queues.values() if queue)
        if not any(other is not job and other.log is job.log and other.begun for other in active):
            job.log.copying = None
