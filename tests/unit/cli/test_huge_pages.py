"""Which memory is put into huge pages, and that it is."""

import ctypes
import mmap
import platform
import sys
from pathlib import Path

import pytest

from respcache.cli.huge_pages import MAPPINGS, HugePages, Mapping, mappings

MB = 1024 * 1024
BLOCK_BYTES = 64 * MB
SMAPS = """\
55d0c0a00000-55d0c0e00000 rw-p 00000000 00:00 0                          [heap]
Size:               4096 kB
Rss:                4000 kB
AnonHugePages:      2048 kB
VmFlags: rd wr mr mw me ac sd
7f0000000000-7f0000200000 rw-p 00000000 00:00 0
Rss:                  12 kB
AnonHugePages:         0 kB
7f0000200000-7f0000201000 ---p 00000000 00:00 0
Rss:                   4 kB
7f0000400000-7f0000600000 rw-p 00001000 fe:00 1234                       /usr/lib/a library.so
Rss:                2048 kB
7f0000600000-7f0000800000 rw-p 00000000 00:00 0                          [stack]
Rss:                2048 kB
7f0000800000-7f0000a00000 rw-s 00000000 00:01 77                         /memfd:shared (deleted)
Rss:                2048 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
"""


def test_only_private_memory_without_a_name_is_heap() -> None:
    """Files, stacks, guard pages and what is shared with others are left alone."""
    assert list(mappings(SMAPS.splitlines())) == [
        Mapping(0x55D0C0A00000, 0x55D0C0E00000, resident_bytes=4000 * 1024, huge_bytes=2048 * 1024),
        Mapping(0x7F0000000000, 0x7F0000200000, resident_bytes=12 * 1024),
    ]


@pytest.mark.parametrize(
    ("resident_bytes", "huge_bytes", "worth"),
    [(8 * MB, 0, True), (7 * MB, 0, True), (8 * MB, 8 * MB, False), (8 * MB, 7 * MB, False), (6 * MB, 0, False)],
)
def test_memory_that_is_not_in_use_does_not_come_to_life(resident_bytes: int, huge_bytes: int, *, worth: bool) -> None:
    """A mapping must be in memory for seven eighths already, and one huge page of it not yet be one."""
    mapping = Mapping(0, 8 * MB, resident_bytes, huge_bytes)

    assert mapping.worth_it(2 * MB) is worth


def test_what_the_process_uses_lies_in_huge_pages_afterwards() -> None:
    """The kernel says that they are; what was written stands there as before."""
    huge_pages = HugePages()
    if not huge_pages.available:
        pytest.skip("this system has no transparent huge pages, or does not let them be used")
    if tuple(int(number) for number in platform.release().split("-", maxsplit=1)[0].split(".")[:2]) < (6, 1):
        pytest.skip("this kernel is older than MADV_COLLAPSE")
    with mmap.mmap(-1, BLOCK_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        block.write(b"\xa5" * BLOCK_BYTES)
        view = ctypes.c_char.from_buffer(block)
        middle = ctypes.addressof(view) + BLOCK_BYTES // 2
        del view

        huge_pages.collapse()

        with MAPPINGS.open() as smaps:
            around = next(mapping for mapping in mappings(smaps) if mapping.start <= middle < mapping.end)
        assert around.huge_bytes >= BLOCK_BYTES // 2
        assert block[:] == b"\xa5" * BLOCK_BYTES


def test_where_there_are_none_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No such folder: another system. `never`: the administrator's word. Both are no error."""
    monkeypatch.setattr("respcache.cli.huge_pages.HUGE_PAGES", tmp_path)
    assert not HugePages().available

    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    assert not HugePages().available

    (tmp_path / "enabled").write_text("always [madvise] never\n")
    assert HugePages().available is (sys.platform == "linux")
