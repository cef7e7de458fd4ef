"""Which scripts a node knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import CommandError
from respcache.scripting.library import SCRIPT_BYTES, BadScript, Compiled, Library, Trait, parted

DIGEST = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"


def test_a_script_is_found_by_text_and_by_digest() -> None:
    """In capitals, too; it is compiled once."""
    compiled: list[bytes] = []

    def compile_(text: bytes) -> Compiled:
        compiled.append(text)
        return Compiled(text, is_straight=True)

    library = Library(compile_, size_max_bytes=10**6)
    script = library.of_text(b"return 1")

    assert script.digest == DIGEST
    assert library.of_digest(DIGEST) is library.of_digest(DIGEST.upper()) is library.of_text(b"return 1") is script
    assert compiled == [b"return 1"]
    library.clear()
    assert library.of_digest(DIGEST) is None
    assert library.size_bytes == len(library) == 0


def test_what_is_no_script_is_not_kept() -> None:
    """The text is refused each time."""

    def refuse(_text: bytes) -> Compiled:
        raise CommandError("no Lua")

    library = Library(refuse, size_max_bytes=10**6)
    for _ in range(2):
        with pytest.raises(CommandError, match="no Lua"):
            library.of_text(b"return 1 +")
    assert len(library) == library.size_bytes == 0


@given(asked=st.lists(st.integers(min_value=0, max_value=9), max_size=60), room=st.integers(min_value=1, max_value=6))
def test_those_not_used_for_longest_go(asked: list[int], room: int) -> None:
    """For any order of use, the library holds the scripts that were used last, as many as there is room for."""
    library = Library(lambda text: Compiled(text, is_straight=True), size_max_bytes=room * (SCRIPT_BYTES + 1))
    for number in asked:
        library.of_text(b"%d" % number)
    latest = list(dict.fromkeys(reversed(asked)))[:room]
    assert {number for number in range(10) if library._by_text.get(b"%d" % number)} == set(latest)
    assert library.size_bytes == len(library) * (SCRIPT_BYTES + 1)
    assert len(library._by_digest) == len(library)


def test_the_first_line_tells_traits_and_counts_as_a_line() -> None:
    """Lines of the rest are numbered as in the text."""
    assert parted(b"return 1") == (None, b"return 1")
    assert parted(b"#!lua\nreturn 1") == (Trait.NONE, b"\nreturn 1")
    traits, _ = parted(b"#!lua flags=no-writes,allow-oom flags=allow-stale,no-cluster,allow-cross-slot-keys\n")
    assert traits == ~Trait.NONE
    with pytest.raises(BadScript):
        parted(b"#!lua flags=none\n")
