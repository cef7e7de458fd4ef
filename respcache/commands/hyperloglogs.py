"""Commands on HyperLogLogs, which estimate how many different elements there were.

They are strings, and immutable here: 12 KB are copied where a register grows, and only there. PFADD travels to the
copies as it is, unless it has made the value dense: from which length on is a setting of each node, so the value
itself is told then. On a copy nothing becomes dense for its length.
"""

from collections.abc import Sequence
from typing import Final

from respcache.commands.events import COUNTED
from respcache.commands.registry import ALL, Flags, KeySpec, command, key_command, keys_command
from respcache.commands.session import Session
from respcache.errors import CommandError
from respcache.reply import OK, Reply, Status
from respcache.store import hyperloglog, sparse
from respcache.store.copies import entry_effect
from respcache.store.events import MADE
from respcache.store.hyperloglog import BLANK, EMPTY, Planes
from respcache.store.keyspace import Keyspace
from respcache.store.ledger import UNLIMITED
from respcache.store.limits import HLL_SPARSE_MAX_BYTES
from respcache.store.partition import Argv, Partition
from respcache.store.texts import raw

_FORMS: Final = {hyperloglog.DENSE: Status(b"dense"), hyperloglog.SPARSE: Status(b"sparse")}
_TEST_ELEMENTS: Final = 1_000
_TEST_ERROR: Final = 0.05
"""Six times the standard error of 16384 registers."""


class NotAHyperLogLog(CommandError):
    """The key holds a string that is something else."""

    code = "WRONGTYPE"

    def __init__(self) -> None:
        super().__init__("Key is not a valid HyperLogLog string value.")


@key_command("PFADD", arity=-2, flags=Flags.WRITE | Flags.DENYOOM | Flags.FAST, since="2.8.9")
def pfadd(partition: Partition, argv: Argv) -> Reply:
    """Add elements to a HyperLogLog; return 1 if that has changed it, or made it."""
    key = argv[1]
    found = _checked(partition.string(key))
    before = EMPTY if found is None else found
    after = hyperloglog.added(before, argv[2:], _sparse_max_bytes(partition))
    if after is found:
        return 0
    partition.keep(key, raw(hyperloglog.stale(after)))
    if hyperloglog.is_dense(after) and not hyperloglog.is_dense(before):
        partition.rewrite(entry_effect(partition, key))
    return 1


@keys_command("PFCOUNT", arity=-2, flags=Flags.READONLY, since="2.8.9", keys=ALL)
def pfcount(space: Keyspace, argv: Argv) -> Reply:
    """Estimate how many different elements one HyperLogLog, or several together, have seen."""
    if len(argv) == 2:
        return _count(space.at(argv[1]), argv[1])
    registers, _ = _union(space, argv[1:])
    return hyperloglog.estimate(hyperloglog.histogram(registers))


@keys_command("PFMERGE", arity=-2, flags=Flags.WRITE | Flags.DENYOOM, since="2.8.9", keys=ALL)
def pfmerge(space: Keyspace, argv: Argv) -> Reply:
    """Have a HyperLogLog know all elements of others, too."""
    registers, dense = _union(space, argv[1:])
    key, partition = argv[1], space.at(argv[1])
    found = partition.string(key)
    text = EMPTY if found is None else found
    if dense:
        text = hyperloglog.densified(text)
    partition.keep(key, raw(hyperloglog.merged(text, registers, _sparse_max_bytes(partition))))
    partition.rewrite(entry_effect(partition, key))
    if found is None:
        partition.happened(MADE, key)
    partition.happened(COUNTED, key)
    return OK


@key_command("PFDEBUG", arity=3, flags=Flags.WRITE | Flags.DENYOOM | Flags.ADMIN, since="2.8.9", keys=KeySpec(2, 2, 1))
def pfdebug(partition: Partition, argv: Argv) -> Reply:
    """Show the registers (GETREG), runs (DECODE) or form (ENCODING) of a HyperLogLog, or make it dense (TODENSE)."""
    key, word = argv[2], argv[1].partition(b"\0")[0].lower()
    text = _checked(partition.string(key))
    if text is None:
        raise CommandError("The specified key does not exist")
    if word not in {b"getreg", b"decode", b"encoding", b"todense"}:
        shown = argv[1].partition(b"\0")[0].decode("utf-8", "surrogateescape")
        raise CommandError(f"Unknown PFDEBUG subcommand '{shown}'")
    is_dense = hyperloglog.is_dense(text)
    match word:
        case b"encoding":
            return _FORMS[text[hyperloglog.FORM_AT]]
        case b"decode":
            if is_dense:
                raise CommandError("HLL encoding is not sparse")
            return _decoded(text)
    if not is_dense:
        text = hyperloglog.densified(text)
        partition.keep(key, text)
        partition.rewrite(entry_effect(partition, key))
    return list(hyperloglog.in_order(hyperloglog.planes(text))) if word == b"getreg" else int(not is_dense)


@command("PFSELFTEST", arity=1, flags=Flags.ADMIN, since="2.8.9")
def pfselftest(session: Session, argv: Argv) -> Reply:
    """Count some elements in both forms, and see that the forms agree and the estimates are near."""
    del session, argv
    elements = [b"%d" % number for number in range(_TEST_ELEMENTS)]
    for count in (1, 10, 100, _TEST_ELEMENTS):
        some = elements[:count]
        one = hyperloglog.added(EMPTY, some, UNLIMITED)
        other = hyperloglog.added(hyperloglog.densified(EMPTY), some, HLL_SPARSE_MAX_BYTES)
        if hyperloglog.densified(one) != other:
            raise CommandError("TESTFAILED The sparse and the dense form differ")
        estimate = hyperloglog.count_of(other)
        if abs(estimate - count) > max(1.0, count * _TEST_ERROR):
            raise CommandError(f"TESTFAILED Too large an error: {estimate} for {count}")
    return OK


def _checked(text: bytes | None) -> bytes | None:
    """See to it that what a key holds looks like a HyperLogLog. Raises NotAHyperLogLog."""
    if text is not None and not hyperloglog.is_one(text):
        raise NotAHyperLogLog
    return text


def _sparse_max_bytes(partition: Partition) -> int:
    """Give the longest sparse form; a copy, where time stands at 0, leaves that to its primary."""
    ledger = partition.ledger
    return ledger.limits.hll_sparse_max_bytes if ledger.now_unix_ms else UNLIMITED


def _count(partition: Partition, key: bytes) -> int:
    """Estimate by one HyperLogLog, and note the estimate in it, as Redis does, on the copies too."""
    text = _checked(partition.read_string(key))
    if text is None:
        return 0
    count = hyperloglog.known_count(text)
    if count is None:
        count = hyperloglog.count_of(text)
        noted = hyperloglog.with_count(text, count)
        partition.keep(key, raw(noted))
        start = hyperloglog.COUNT_AT
        partition.rewrite([b"SETRANGE", key, b"%d" % start, noted[start : start + hyperloglog.COUNT_BYTES]])
    return count


def _union(space: Keyspace, keys: Sequence[bytes]) -> tuple[Planes, bool]:
    """Give the highest rank of each register in several HyperLogLogs, and whether any of them is dense."""
    registers, dense = BLANK, False
    for key in keys:
        text = _checked(space.at(key).read_string(key))
        if text is not None:
            dense = dense or hyperloglog.is_dense(text)
            registers = hyperloglog.larger(registers, hyperloglog.planes(text))
    return registers, dense


def _decoded(text: bytes) -> bytes:
    """Write the runs of a sparse HyperLogLog for people, as Redis does."""
    return b" ".join(
        [
            b"v:%d,%d" % (rank, length) if rank else b"%b:%d" % (b"Z" if long else b"z", length)
            for rank, length, long in sparse.runs(text)
        ]
    )
