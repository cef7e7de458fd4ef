"""MEMORY: what a node takes."""

import msgspec
import pytest

from respcache.config import Config
from respcache.reply import Verbatim
from respcache.store.scale import KEYSPACE_BYTES
from unit.commands.front import Front

MB = 1024 * 1024


def test_statistics_add_up() -> None:
    """Overhead and data are all that there is; keys are counted, and their average follows."""
    front = Front()
    ledger = front.host.store.ledger
    space = front.host.store.keyspace(3)
    for number in range(10):
        space.at(b"%d" % number).put(b"%d" % number, b"v")
    ledger.databases_weighed, ledger.weight_bytes, ledger.peak_bytes = 1, KEYSPACE_BYTES + 1000, 2 * KEYSPACE_BYTES
    stats = front.ask(front.client(), b"MEMORY", b"STATS")
    assert isinstance(stats, dict)
    assert stats[b"overhead.total"] == KEYSPACE_BYTES
    assert (stats[b"dataset.bytes"], stats[b"keys.count"], stats[b"keys.bytes-per-key"]) == (1000, 10, 100)
    assert stats[b"total.allocated"] == KEYSPACE_BYTES + 1000
    assert stats[b"peak.allocated"] == 2 * KEYSPACE_BYTES
    assert stats[b"peak.percentage"] == pytest.approx(50, abs=1)
    assert stats[b"db.3"] == {b"overhead.hashtable.main": KEYSPACE_BYTES}


@pytest.mark.parametrize(
    ("weight_bytes", "peak_bytes", "limit_bytes", "said"),
    [
        (0, 0, 0, b"next to nothing"),
        (2000 * MB, 2000 * MB, 0, b"Nothing is remarkable"),
        (2000 * MB, 4000 * MB, 0, b"much more at some time"),
        (95 * MB, 95 * MB, 100 * MB, b"maxmemory allows"),
    ],
)
def test_the_doctor_remarks_what_is_remarkable(
    weight_bytes: int, peak_bytes: int, limit_bytes: int, said: bytes
) -> None:
    """A limit that is near, a peak long gone; or that there is nothing."""
    server = msgspec.structs.replace(Config().server, maxmemory_bytes=limit_bytes)
    front = Front(msgspec.structs.replace(Config(), server=server))
    ledger = front.host.store.ledger
    ledger.weight_bytes, ledger.peak_bytes = weight_bytes, peak_bytes
    report = front.ask(front.client(), b"MEMORY", b"DOCTOR")
    assert isinstance(report, Verbatim)
    assert said in report.text
