"""Settings of a running node."""

import pytest

from respcache.config import ClusterConfig, Config
from respcache.options import BY_NAME
from respcache.pubsub.wire import CHOICES_MAX
from respcache.redis_conf import ALIASES, FACTS, TUNINGS
from respcache.settings import CHANGEABLE, HIDDEN, SHARED, LiveSettings, Refused, UnknownSetting


def live() -> tuple[LiveSettings, list[Config]]:
    """Make settings, and the list of configurations that they announce."""
    announced: list[Config] = []
    return LiveSettings(Config(), announced.append, lambda _chosen: None), announced


def test_every_name_has_a_text() -> None:
    """Options and facts, each name once."""
    settings, _ = live()
    assert list(settings.names()) == sorted({*BY_NAME, *FACTS, *TUNINGS, *ALIASES})
    assert all(isinstance(settings.get(name), str) for name in settings.names())
    assert len({*BY_NAME, *FACTS, *TUNINGS, *ALIASES}) == len(BY_NAME) + len(FACTS) + len(TUNINGS) + len(ALIASES)


def test_a_change_is_announced_once_and_whole() -> None:
    """Whoever listens gets the new configuration with all changes in it."""
    settings, announced = live()
    settings.set({"timeout": "5", "hz": "100"})
    assert announced == [settings.config]
    assert (settings.config.server.timeout_s, settings.config.server.hz) == (5, 100)


def test_a_setting_may_have_two_names() -> None:
    """Both show and change the same."""
    settings, _ = live()
    for name in ("busy-reply-threshold", "lua-time-limit"):
        settings.set({name: "250"})
        assert settings.get("busy-reply-threshold") == settings.get("lua-time-limit") == "250"
        settings.set({name: "5000"})
    with pytest.raises(Refused, match="busy-reply-threshold"):
        settings.set({"busy-reply-threshold": "-1"})


@pytest.mark.parametrize("name", sorted(CHANGEABLE))
def test_what_can_be_changed_can_be_set_to_what_it_is(name: str) -> None:
    """A setting reads back as it was given, and stays what it was."""
    settings, _ = live()
    settings.set({name: settings.get(name)})
    assert settings.config == Config()


def test_a_rate_in_bytes_that_was_meant_otherwise_is_refused() -> None:
    """50 is no rate that anybody wants; 0 is for no bound."""
    settings, announced = live()
    with pytest.raises(Refused, match="in bytes a second, and must be at least 64kb, or 0"):
        settings.set({"rebalance-rate": "50"})
    assert announced == []
    settings.set({"rebalance-rate": "50mb"})
    settings.set({"rebalance-rate": "0"})
    assert [config.cluster.rebalance_rate_bytes_per_s for config in announced] == [50 * 1024 * 1024, 0]


@pytest.mark.parametrize("name", sorted(TUNINGS))
def test_tunings_are_remembered_and_nobody_goes_by_them(name: str) -> None:
    """They can be set to what they are, and to nothing that Redis would refuse; the configuration stays."""
    settings, announced = live()
    settings.set({name: settings.get(name)})
    with pytest.raises(Refused):
        settings.set({name: "neither number nor word"})
    assert (settings.config, announced) == (Config(), [])


def test_a_tuning_is_shown_as_it_was_set_by_either_name() -> None:
    """And with another change that is refused nothing of it stays."""
    settings, _ = live()
    settings.set({"repl-ping-slave-period": "7", "list-compress-depth": "2"})
    assert [settings.get(name) for name in ("repl-ping-replica-period", "repl-ping-slave-period")] == ["7", "7"]
    with pytest.raises(Refused):
        settings.set({"list-compress-depth": "3", "hz": "0"})
    assert settings.get("list-compress-depth") == "2"


def test_what_was_left_open_is_shown_as_it_became() -> None:
    """A free port, a name made from it, what the cluster has agreed on; nobody asked for a change."""
    settings, announced = live()
    settings.settle({"port": 7001, "cluster-port": 17001, "name": "h:7001", "replica-count": 3})
    assert [settings.get(name) for name in ("port", "cluster-port", "name")] == ["7001", "17001", "h:7001"]
    assert (settings.config.cluster.replica_count, settings.get("replica-count"), announced) == (3, "3", [])


@pytest.mark.parametrize("changes", [{"timeout": "5", "port": "1"}, {"timeout": "5", "hz": "0"}])
def test_a_refused_change_leaves_all_as_it_was(changes: dict[str, str]) -> None:
    """Also those named before the one at fault, and nobody is told of anything."""
    settings, announced = live()
    with pytest.raises(Refused):
        settings.set(changes)
    assert (settings.config, announced) == (Config(), [])


def test_what_all_nodes_are_to_go_by_is_passed_on() -> None:
    """By its main name, and nothing of a change that is refused, or that only this node goes by."""
    chosen: list[dict[str, str]] = []
    settings = LiveSettings(Config(), lambda _config: None, chosen.append)
    settings.set({"timeout": "5"})
    with pytest.raises(Refused):
        settings.set({"hash-max-ziplist-entries": "7", "hz": "0"})
    assert chosen == []
    settings.set({"hash-max-ziplist-entries": "7", "hll-sparse-max-bytes": "1kb", "timeout": "6"})
    settings.set({"notify-keyspace-events": "KEAn"})
    assert chosen == [
        {"hash-max-listpack-entries": "7", "hll-sparse-max-bytes": "1024"},
        {"notify-keyspace-events": "KEAn"},
    ]


def test_what_is_adopted_from_other_nodes_is_not_told_again() -> None:
    """It takes effect, but for what has no meaning here, whose names come back."""
    announced: list[Config] = []
    chosen: list[dict[str, str]] = []
    settings = LiveSettings(Config(), announced.append, chosen.append)
    assert settings.adopt({"lfu-log-factor": "many"}) == ["lfu-log-factor"]
    assert announced == []
    assert settings.adopt({"lfu-log-factor": "-1", "lfu-decay-time": "2"}) == ["lfu-log-factor"]
    assert [settings.get(name) for name in ("lfu-log-factor", "lfu-decay-time")] == ["10", "2"]
    assert ([config.server.lfu_decay_time_min for config in announced], chosen) == ([2], [])


def test_every_setting_that_all_nodes_share_can_be_changed() -> None:
    """Else a choice could not be made, nor adopted; and all of them fit into one message."""
    assert SHARED <= CHANGEABLE
    assert len(SHARED) <= CHOICES_MAX
    settings, _ = live()
    assert settings.adopt({name: settings.get(name) for name in SHARED}) == []


def test_an_unknown_name_is_refused_first() -> None:
    """Before any value is looked at."""
    settings, _ = live()
    with pytest.raises(UnknownSetting, match="'nothing'"):
        settings.set({"timeout": "x", "nothing": "1"})


def test_the_output_limit_is_written_as_redis_writes_it() -> None:
    """A class with a hard limit, and no soft ones; a bare number stands for normal clients."""
    settings, _ = live()
    name = "client-output-buffer-limit"
    for text in ("2mb", "normal 2mb 0 0", "normal 2mb 0 0 slave 5mb 0 0"):
        settings.set({name: "1mb"})
        settings.set({name: text})
        assert settings.config.server.client_output_buffer_limit_bytes == 2 * 1024 * 1024
    settings.set({name: "pubsub 3mb 0 0"})
    assert settings.get(name) == "normal 2097152 0 0 slave 2097152 0 0 pubsub 3145728 0 0"
    assert settings.config.server.pubsub_output_buffer_limit_bytes == 3 * 1024 * 1024


@pytest.mark.parametrize("text", ["", "normal 2mb 0", "nobody 2mb 0 0", "normal 2mb 1mb 60", "pubsub 0 0 0"])
def test_an_output_limit_that_would_not_hold_is_refused(text: str) -> None:
    """Rather than taken in part."""
    settings, _ = live()
    with pytest.raises(Refused, match="client-output-buffer-limit"):
        settings.set({"client-output-buffer-limit": text})


def test_keys_are_shown_to_nobody() -> None:
    """Not even to who may read all settings: they would make him a node. Nor can they be set."""
    settings = LiveSettings(Config(cluster=ClusterConfig(keys=("marlin",))), lambda _config: None, lambda _chosen: None)
    assert settings.get("cluster-keys") == HIDDEN
    with pytest.raises(Refused) as refusal:
        settings.set({"cluster-keys": "swordfish"})
    assert "swordfish" not in str(refusal.value)
    assert live()[0].get("cluster-keys") == ""
