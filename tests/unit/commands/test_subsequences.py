"""What two strings have in common, beside the table that textbooks draw."""

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.commands.subsequences import Table, _length

texts = st.text("abc", max_size=70).map(str.encode)


def _cells(one: bytes, other: bytes) -> list[list[int]]:
    """Fill the table cell by cell."""
    cells = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for row, byte in enumerate(one, 1):
        for column, another in enumerate(other, 1):
            grown = cells[row - 1][column - 1] + 1
            cells[row][column] = grown if byte == another else max(cells[row - 1][column], cells[row][column - 1])
    return cells


@given(texts, texts)
@settings(max_examples=60, deadline=None)
def test_lengths_are_those_of_the_table(one: bytes, other: bytes) -> None:
    """Either way round, with rows of a word or of many."""
    expected = _cells(one, other)[-1][-1]
    assert Table(one, other).length == Table(other, one).length == _length(one, other) == expected


@given(texts, texts)
@settings(max_examples=60, deadline=None)
def test_the_ranges_are_a_longest_common_subsequence(one: bytes, other: bytes) -> None:
    """They come from the end, never touch each other in both strings, and hold the same bytes."""
    table = Table(one, other)
    ranges = table.ranges()
    assert sum(end - start + 1 for (start, end), _ in ranges) == table.length
    before, other_before = len(one), len(other)
    for (start, end), (other_start, other_end) in ranges:
        assert one[start : end + 1] == other[other_start : other_end + 1] != b""
        assert end < before
        assert other_end < other_before
        assert (end, other_end) != (before - 1, other_before - 1) or before == len(one) or other_before == len(other)
        before, other_before = start, other_start
