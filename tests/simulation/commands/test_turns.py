"""No turn of the event loop is long when nodes join, die and leave."""

from bench.adoption import longest_ms

LONGEST_MS = 25.0
"""Five times what a turn may take on a quiet machine: CPU time, the least of two runs of the same seed."""


def test_no_change_of_the_cluster_stops_a_node_for_long() -> None:
    """With three nodes and 1,024 partitions, whatever a record changes; placing all of them at once took as long."""
    assert max(longest_ms(3).values()) < LONGEST_MS
