"""Sets: when they stop being small integers, and what a copy is."""

from respcache.store.limits import DEFAULT
from respcache.store.sets import Set, of


def test_few_integers_are_in_ascending_order() -> None:
    """As in Redis' intset."""
    assert of([b"10", b"-3", b"2"]).members() == [b"-3", b"2", b"10"]
    assert of([b"10"]).encoding() == b"intset"


def test_a_set_of_many_integers_is_a_table_for_good() -> None:
    """As in Redis it does not become an intset again."""
    found = of(b"%d" % number for number in range(DEFAULT.set_integers))
    assert found.encoding() == b"intset"
    found.add(b"%d" % DEFAULT.set_integers)
    found.remove(b"%d" % DEFAULT.set_integers)
    assert found.encoding() == b"hashtable"


def test_one_other_word_makes_a_table() -> None:
    """A number that is written in another way included."""
    for word in (b"a", b"01", b"", b"9223372036854775808"):
        found = of([b"1", word])
        found.remove(word)
        assert found.encoding() == b"hashtable"


def test_a_copy_is_equal_and_apart() -> None:
    """Changes of one are not seen by the other."""
    found = of([b"1", b"2"])
    other = found.copy()
    other.add(b"a")
    assert (found.members(), found.encoding()) == ([b"1", b"2"], b"intset")
    assert sorted(other.members()) == [b"1", b"2", b"a"]


def test_its_size_grows_with_what_it_holds() -> None:
    """As for a hash."""
    assert of(b"%d" % number for number in range(1000)).size_bytes(5) > 10 * Set().size_bytes(5)
