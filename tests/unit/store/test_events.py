"""The letters that choose keyspace events, and what is noted of what happens."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.events import DELETED, EXPIRED, MADE, MISSED, chosen_by, letters_of
from respcache.store.keyspace import Store

LETTERS = "g$lshzxetdmnKEA"


@given(letters=st.text(alphabet=LETTERS, max_size=20))
def test_what_is_shown_chooses_the_same(letters: str) -> None:
    """But for n, which Redis does not show behind an A."""
    chosen = chosen_by(letters)
    shown = letters_of(chosen)
    assert letters_of(chosen_by(shown)) == shown
    assert chosen_by(shown + ("n" if "n" in letters else "")) == chosen


@given(letters=st.text(max_size=5))
def test_what_is_no_letter_is_refused(letters: str) -> None:
    """Wherever it stands."""
    try:
        chosen_by(letters)
    except ValueError:
        assert not set(letters) <= set(LETTERS)
    else:
        assert set(letters) <= set(LETTERS)


def noted(letters: str, *, now_unix_ms: int = 1_000) -> list[tuple[bytes, bytes]]:
    """Let one thing of several classes happen to a key; give what is noted of it."""
    store = Store()
    store.ledger.now_unix_ms = now_unix_ms
    woken: list[bool] = []
    journal = store.ledger.journal
    journal.wake = lambda: woken.append(True)
    journal.choose(chosen_by(letters))
    partition = store.keyspace(0).at(b"k")
    for event in (MADE, EXPIRED, DELETED):
        partition.happened(event, b"k")
    assert partition.read(b"k") is None
    happenings = journal.take()
    assert len(woken) == bool(happenings)
    assert not journal.take()
    return [(happening.event.name, happening.key) for happening in happenings]


def test_what_is_listened_to_is_noted_and_nothing_else() -> None:
    """By class; and nothing without a channel on which it would be told."""
    assert noted("KEAnm") == [(b"new", b"k"), (b"expired", b"k"), (b"del", b"k"), (b"keymiss", b"k")]
    assert noted("Eg") == [(b"del", b"k")]
    assert noted("Km") == [(MISSED.name, b"k")]
    assert noted("K") == noted("Anm") == noted("") == []


def test_copies_note_nothing() -> None:
    """Their time stands at 0 while they do what their primary did, and the primary tells of it."""
    assert noted("KEAnm", now_unix_ms=0) == []
