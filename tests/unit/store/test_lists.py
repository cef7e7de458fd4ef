"""Lists against Python's own."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.lists import FEW, List, of

ELEMENTS = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=30)


@given(data=st.data(), size=st.integers(min_value=1, max_value=3 * FEW))
def test_any_slice_is_what_a_list_gives(data: st.DataObject, size: int) -> None:
    """Short and long ones, at the ends and in the middle."""
    expected = [b"%d" % number for number in range(size)]
    first = data.draw(st.integers(min_value=0, max_value=size - 1))
    last = data.draw(st.integers(min_value=first, max_value=size - 1))
    assert of(expected).slice(first, last) == expected[first : last + 1]
    kept = of(expected)
    kept.keep(first, last)
    assert list(kept.elements) == expected[first : last + 1]


@given(elements=ELEMENTS, count=st.integers(min_value=-4, max_value=4))
def test_as_many_equal_elements_are_removed_as_asked_for(elements: list[bytes], count: int) -> None:
    """From the head, or from the end; the others stay in their order."""
    found = of(elements)
    expected = list(elements) if count >= 0 else elements[::-1]
    for _ in range(abs(count) or len(elements)):
        if b"a" in expected:
            expected.remove(b"a")
    expected = expected if count >= 0 else expected[::-1]
    assert found.remove(b"a", count) == len(elements) - len(expected)
    assert list(found.elements) == expected


@given(elements=ELEMENTS, backwards=st.booleans(), most=st.integers(min_value=1, max_value=40))
def test_places_are_those_of_equal_elements(elements: list[bytes], backwards: bool, most: int) -> None:  # noqa: FBT001 # drawn
    """Among the first that are looked at, from either end."""
    looked = list(enumerate(elements))[::-1][:most] if backwards else list(enumerate(elements))[:most]
    expected = [place for place, element in looked if element == b"a"]
    assert list(of(elements).places(b"a", backwards=backwards, most=most)) == expected


def test_a_copy_is_equal_and_apart() -> None:
    """Changes of one are not seen by the other."""
    found = of([b"a"])
    other = found.copy()
    other.elements.append(b"b")
    assert (list(found.elements), list(other.elements)) == ([b"a"], [b"a", b"b"])
    assert found.encoding() == b"quicklist"
    assert other.size_bytes(0) > List().size_bytes(0)
