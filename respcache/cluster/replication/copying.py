"""Copies in the making: a partition travels to a learner while its commands go on.

On the stream to the learner, in order with the effects: BEGIN, chunks of keys, END.
From BEGIN on the learner also gets every effect of the partition. A chunk carries
each key's value at the moment it is cut, and it is cut between effects.

Why the learner ends with an equal copy. Call a key *pending* while it is queued
here, *settled* otherwise. Claim: at every point of the stream the learner, having
applied it that far, has of every settled key what the primary had at that point.
- BEGIN: the learner forgets the partition, and all keys that exist are queued. A key
  that does not exist is settled: both have nothing.
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
END is cut when no key is pending. From there on the copy is equal, and effects keep it so.

If the learner dies, the link breaks for good, or this node stops being the primary,
nothing has changed but data on a node that does not count: the next BEGIN starts over.
"""

from collections import defaultdict, deque
from typing import Final

from respcache.cluster.replication.log import Log, Stream
from respcache.cluster.replication.storage import KeyList, Storage, StoredKey
from respcache.cluster.replication.wire import ABSENT, BEGIN, END, VALUES

STEP_BYTES: Final = 512 * 1024
"""Bytes dumped in one step, exceeded by at most one value."""
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Bytes to a peer that may be un-acked before the next chunk is cut."""


class Job:
    """One partition on its way to one learner: queued, cut chunk by chunk, ended, and acked."""

    __slots__ = ("again", "beginning", "begun", "end", "keys", "log", "stream")

    def __init__(self, log: Log, stream: Stream) -> None:
        self.log, self.stream = log, stream
        self.begun = False
        self.keys = KeyList()
        """Keys not sent yet."""
        self.again: dict[StoredKey, None] = {}
        """Keys to be sent after those, because effects on several keys touched them."""
        self.beginning = 0
        """The number of the frame with the BEGIN in it."""
        self.end = 0
        """The number of the frame with the END in it, once it is cut."""


class Copying:
    """All copies that this node is making for others. One at a time to each learner, several learners at once."""

    def __init__(self, storage: Storage, *, step_keys: int) -> None:
        self._storage, self._step_keys = storage, step_keys
        self._queues: dict[Stream, deque[Job]] = {}
        self._ended: dict[Stream, deque[Job]] = {}
        self._jobs: defaultdict[int, dict[Stream, Job]] = defaultdict(dict)
        self.pending = 0
        """Copies not acked yet."""
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
        return list(self._jobs[partition])

    def receiving(self, partition: int) -> list[Stream]:
        """Return those of them for which the copy has begun: they get the effects."""
        return [stream for stream, job in self._jobs[partition].items() if job.begun]

    def touched(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Queue again the keys of an effect on several keys."""
        keys = self._storage.keys_of(database, argv)
        if len(keys) < 2:
            return
        for queue in self._queues.values():
            job = queue[0] if queue else None
            if job is not None and job.begun and job.log.partition == partition:
                job.again.update(dict.fromkeys(keys))

    @property
    def runnable(self) -> bool:
        """Whether a step would do something now."""
        return any(queue and stream.unacked_bytes < WINDOW_BYTES for stream, queue in self._queues.items())

    def step(self, number: int) -> None:
        """Cut some chunks into the open frames, which have this number, within the limits of one step.

        Beginning and ending a copy count as one key.
        """
        ready = [stream for stream, queue in self._queues.items() if queue and stream.unacked_bytes < WINDOW_BYTES]
        for stream in ready:
            queue = self._queues[stream]
            keys, size = max(1, self._step_keys // len(ready)), STEP_BYTES // len(ready)
            while queue and keys > 0 and size > 0:
                job = queue[0]
                if not job.begun:
                    self._begin(job, number)
                keys_cut, bytes_cut = self._chunk(job, keys, size)
                keys -= keys_cut + 1
                size -= bytes_cut
                if not job.keys and not job.again:
                    self._end(job, number)
                    queue.popleft()

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
        job.keys = KeyList(self._storage.keys(log.partition))
        job.stream.open.append((log.partition, log.epoch, log.sequence, BEGIN, []))
        log.attach((*log.streams, job.stream), log.required)
        log.copying = self

    def _chunk(self, job: Job, keys_max: int, bytes_max: int) -> tuple[int, int]:
        """Cut one chunk; return the keys and bytes in it."""
        partition = job.log.partition
        values: list[bytes] = []
        absent: list[bytes] = []
        keys = size = 0
        while (job.keys or job.again) and keys < keys_max and size < bytes_max:
            database, key = job.keys.pop() if job.keys else job.again.popitem()[0]
            blob = self._storage.dump(partition, database, key)
            if blob is None:
                absent += (b"%d" % database, key)
            else:
                values += (b"%d" % database, key, blob)
                size += len(blob)
            size += len(key)
            keys += 1
        for kind, argv in ((VALUES, values), (ABSENT, absent)):
            if argv:
                job.stream.open.append((partition, job.log.epoch, job.log.sequence, kind, argv))
        self.keys_out += len(values) // 3
        self.bytes_out += size
        return keys, size

    def _end(self, job: Job, number: int) -> None:
        job.stream.open.append((job.log.partition, job.log.epoch, job.log.sequence, END, []))
        job.end = number
        self._ended.setdefault(job.stream, deque()).append(job)
        self._detach(job)

    def _detach(self, job: Job) -> None:
        """Stop watching a partition's effects once no copy of it is being cut."""
        active = (queue[0] for queue in self._queues.values() if queue)
        if not any(other is not job and other.log is job.log and other.begun for other in active):
            job.log.copying = None
