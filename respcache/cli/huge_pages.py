"""Puts the heap of this process into huge pages, so that the processor finds its way in it.

A key that has not been used for a while costs several reads of memory, and with pages of 4 KB
most of them first wait for the processor to look up where the page is. Linux (6.1 and newer) puts
memory that is in use into pages of 2 MB when it is asked to (MADV_COLLAPSE, see madvise(2)).
Python has no way to ask for them when it takes memory, so this asks afterwards: whenever the
process has grown, for those of its mappings that are in use as a whole. What has been given
back to the system, or was never touched, does not come to life.

Wherever that is impossible nothing happens: on other systems, on older kernels, where the
administrator has set transparent huge pages to `never`.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MADV_COLLAPSE: Final = 25
"""From Linux' uapi/asm-generic/mman-common.h; the module mmap does not know it."""
IN_USE: Final = 7 / 8
"""Share of a mapping that must be in memory already: all of it is afterwards."""
HEAP: Final = "[heap]"
"""The name of the one mapping of anonymous memory that has one."""
HUGE_PAGES: Final = Path("/sys/kernel/mm/transparent_hugepage")
MAPPINGS: Final = Path("/proc/self/smaps")
RESIDENT: Final = Path("/proc/self/statm")


@dataclass(slots=True)
class Mapping:
    """Private memory of this process, with no file behind it."""

    start: int
    end: int
    resident_bytes: int = 0
    huge_bytes: int = 0
    """Of these, those in huge pages."""

    def worth_it(self, page_bytes: int) -> bool:
        """Tell whether at least one huge page of so many bytes would be filled with what is in use already."""
        size = self.end - self.start
        return self.resident_bytes >= IN_USE * size and self.resident_bytes - self.huge_bytes >= page_bytes


def mappings(smaps: Iterable[str]) -> Iterator[Mapping]:
    """Read the mappings that may be heap from the lines of `/proc/<pid>/smaps`; proc(5) describes them."""
    mapping: Mapping | None = None
    for line in smaps:
        first, *rest = line.split()
        if not first.endswith(":"):
            if mapping is not None:
                yield mapping
            start, end = (int(address, 16) for address in first.split("-"))
            access, _, _, inode, *name = rest
            is_heap = access == "rw-p" and inode == "0" and name in ([], [HEAP])
            mapping = Mapping(start, end) if is_heap else None
        elif mapping is not None:
            if first == "Rss:":
                mapping.resident_bytes = int(rest[0]) * 1024
            elif first == "AnonHugePages:":
                mapping.huge_bytes = int(rest[0]) * 1024
    if mapping is not None:
        yield mapping


class HugePages:
    """The huge pages of this process."""

    def __init__(self) -> None:
        self._page_bytes: Final = _page_bytes()
        self._resident_bytes = 0
        """How large the process was when it was last gone through."""

    @property
    def available(self) -> bool:
        """Whether this system has them, and the administrator lets them be used."""
        return self._page_bytes > 0

    def collapse(self) -> None:
        """Ask for huge pages for what has become heap since the last time; the better part of a millisecond for each.

        Other threads run meanwhile. Only one thread may call it.
        """
        resident_bytes = _resident_bytes()
        if resident_bytes - self._resident_bytes < self._page_bytes:
            self._resident_bytes = min(resident_bytes, self._resident_bytes)
            return
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with MAPPINGS.open(encoding="utf-8", errors="replace") as smaps:
            worthy = [mapping for mapping in mappings(smaps) if mapping.worth_it(self._page_bytes)]
        for mapping in worthy:
            # A refusal is no harm: the kernel is too old, memory is short, or the mapping is gone.
            madvise(mapping.start, mapping.end - mapping.start, MADV_COLLAPSE)
        self._resident_bytes = _resident_bytes()


def _page_bytes() -> int:
    """Give the size of a huge page; 0 if there are none to be had."""
    try:
        permitted = (HUGE_PAGES / "enabled").read_text(encoding="ascii")
        size = int((HUGE_PAGES / "hpage_pmd_size").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return 0 if "[never]" in permitted or not MAPPINGS.exists() else size


def _resident_bytes() -> int:
    return int(RESIDENT.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
