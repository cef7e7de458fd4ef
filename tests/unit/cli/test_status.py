"""The table of a cluster's nodes."""

from click import unstyle

from respcache.cli.client import SeenNode
from respcache.cli.status import COLOURS, STATE, Row, summary
from respcache.cli.tables import table

SOUND = {
    "cluster_state": "ok",
    "cluster_known_nodes": "3",
    "cluster_slots_assigned": "16384",
    "cluster_slots_ok": "16384",
    "cluster_replica_count": "2",
    "cluster_copies_wanted": "2",
    "cluster_copies_missing": "0",
}


def told(*nodes: SeenNode, **figures: str) -> list[str]:
    """Say how a cluster is, without colours."""
    return [unstyle(line) for line in summary(SOUND | figures, list(nodes))]


def test_a_sound_cluster_is_one_line() -> None:
    """Nothing else to worry about."""
    assert told() == ["cluster ok, 3 nodes, 16384 of 16384 slots served"]


def test_slots_of_nodes_that_are_gone_are_not_served() -> None:
    """They still are somebody's, as CLUSTER INFO has it: a minority waits for the others to come back."""
    line, why = told(cluster_state="fail", cluster_known_nodes="1", cluster_slots_ok="5456", cluster_lease_held="0")
    assert line == "cluster fail, 1 nodes, 5456 of 16384 slots served"
    assert why == "this node reaches no majority of the voters: it serves nothing for now"


def test_what_a_death_could_cost_is_told() -> None:
    """Copies that are missing, copies that cannot be for want of nodes, nodes that do not answer."""
    assert told(cluster_copies_missing="683")[1:] == ["683 of 2048 copies missing: one more death can lose keys"]
    assert told(cluster_copies_wanted="1")[1:] == ["too few nodes for 2 copies of each key: there are 1"]
    (bare,) = told(cluster_partitions_without_copy="355")[1:]
    assert (
        bare == "355 of 1024 partitions have no living copy: their keys are gone, unless a node comes back that has one"
    )
    silent = SeenNode("four", "h:1", "suspect", 0)
    assert told(SeenNode("h:2", "h:2", "alive", 0), silent)[1:] == ["no answer from four (h:1)"]


def test_columns_are_as_wide_as_they_need() -> None:
    """Below the head, a line a node, in the colour of its state."""
    rows = [
        Row("127.0.0.1:6379", "four", "alive", "8192", "10", "20", "1.00M", "3"),
        Row("b:1", "b:1", "dead", "0", "-", "-", "-", "-"),
    ]
    lines = table(Row(), rows, COLOURS, colour_by=STATE)
    assert [unstyle(line) for line in lines] == [
        "NODE            NAME  STATE  SLOTS  KEYS  COPIES  MEMORY  CLIENTS",
        "127.0.0.1:6379  four  alive  8192   10    20      1.00M   3",
        "b:1             b:1   dead   0      -     -       -       -",
    ]
    assert [line.startswith("\x1b[") for line in lines] == [False, True, True]
