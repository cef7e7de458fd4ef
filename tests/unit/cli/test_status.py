"""The table of a cluster's nodes."""

from click import unstyle

from respcache.cli.status import Row, table


def test_columns_are_as_wide_as_they_need() -> None:
    """Below the head, a line a node, in the colour of its state."""
    rows = [
        Row("127.0.0.1:6379", "alive", "8192", "10", "20", "1.00M", "3"),
        Row("b:1", "dead", "0", "-", "-", "-", "-"),
    ]
    lines = table(rows)
    assert [unstyle(line) for line in lines] == [
        "NODE            STATE  SLOTS  KEYS  COPIES  MEMORY  CLIENTS",
        "127.0.0.1:6379  alive  8192   10    20      1.00M   3",
        "b:1             dead   0      -     -       -       -",
    ]
    assert [line.startswith("\x1b[") for line in lines] == [False, True, True]
