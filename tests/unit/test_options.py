"""Settings as people write them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.config import ClusterConfig, Config
from respcache.errors import ConfigError
from respcache.options import BY_NAME, OPTIONS, load


def loaded(
    *,
    file: Path | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
) -> Config:
    """Load from what is given and nothing else."""
    return load(file=file, environment=environment or {}, flags=flags or {})


def test_nothing_given_is_the_default() -> None:
    """No file, no variable, no flag."""
    assert loaded() == Config()


def test_flags_outweigh_variables_outweigh_the_file(tmp_path: Path) -> None:
    """Each source changes only what it names."""
    file = tmp_path / "respcache.toml"
    file.write_text('[server]\nport = 1\nhz = 1\ntimeout = 1\n[cluster]\nport = 9\njoin = ["a:1", "b:2"]\n')
    environment = {"RESPCACHE_SERVER__PORT": "2", "RESPCACHE_SERVER__HZ": "2", "PATH": "/bin"}
    config = loaded(file=file, environment=environment, flags={"port": "3"})
    assert (config.server.port, config.server.hz, config.server.timeout_s) == (3, 2, 1)
    assert (config.cluster.port, config.cluster.join) == (9, ("a:1", "b:2"))


def test_a_file_may_write_dashes_or_underscores_units_and_words(tmp_path: Path) -> None:
    """As in redis.conf: 2mb, yes and no; TOML's own booleans and numbers too."""
    file = tmp_path / "respcache.toml"
    file.write_text(
        "[server]\ntcp_keepalive = 60\nshutdown-timeout = 2.5\nclient-output-buffer-limit = '2mb'\n"
        "client-query-buffer-limit = 3000000\nprotected-mode = false\n[http]\nenabled = 'no'\n"
    )
    config = loaded(file=file)
    assert (config.server.tcp_keepalive_s, config.server.shutdown_timeout_s) == (60, 2.5)
    assert config.server.client_output_buffer_limit_bytes == 2 * 1024 * 1024
    assert config.server.client_query_buffer_limit_bytes == 3_000_000
    assert (config.server.protected_mode, config.http.enabled) == (False, False)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[server]\nprot = 1", r"respcache.toml: unknown key in \[server\]: prot; did you mean port\?"),
        ("[server]\nrebalance-rate = 1", r"unknown key in \[server\]: rebalance-rate; it belongs into \[cluster\]$"),
        ("[http]\nrequirepass_file = 'x'", r"in \[http\]: requirepass_file; it belongs into \[server\]$"),
        ("[gossip]\nport = 1", r"in \[gossip\]: port; it belongs into \[server\] or \[cluster\] or \[http\]$"),
        ("[sever]\nport = 1", r"respcache.toml: unknown section sever; did you mean server\?"),
        ("port = 1", r"respcache.toml: port stands outside of all sections; put port under \[server\]"),
        ("replica_count = 1", r"replica_count stands outside .*; put replica-count under \[cluster\]"),
        ("http-port = 1", r"http-port stands outside of all sections; put port under \[http\]"),
        ("prot = 1", r"respcache.toml: unknown setting prot; did you mean port\?"),
        ("server = 1", r"respcache.toml: server is a section"),
        ("port 6379\nsave ''", r"respcache.toml is no TOML, with settings such as port = 6379 below \[server\]: "),
        ("[server]\nport = 65536", r"server.port = 65536 \(.*respcache.toml\): argument must be between 0 and 65535"),
        ("[server]\nport = true", r"server.port = True \(.*respcache.toml\): argument couldn't be parsed into an"),
        ("[server]\nport", r"respcache.toml is no TOML"),
        ("[server]\ntcp-keepalive = 1\ntcp_keepalive = 1", r"respcache.toml: tcp-keepalive is given twice"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, content: str, told: str) -> None:
    """The file, the key, the value, the rule, and the key that was perhaps meant."""
    file = tmp_path / "respcache.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=told):
        loaded(file=file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It was asked for, so it must be there."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        loaded(file=tmp_path / "nowhere.toml")


def test_a_mistake_in_the_environment_is_named() -> None:
    """The variable, the value, the rule."""
    with pytest.raises(
        ConfigError, match="unknown variable RESPCACHE_SERVER__PROT; did you mean RESPCACHE_SERVER__PORT"
    ):
        loaded(environment={"RESPCACHE_SERVER__PROT": "1"})
    with pytest.raises(
        ConfigError, match=r"server.hz = '0' \(environment RESPCACHE_SERVER__HZ\): .* between 1 and 500"
    ):
        loaded(environment={"RESPCACHE_SERVER__HZ": "0"})


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("RESPCACHE_PORT", "unknown variable RESPCACHE_PORT; did you mean RESPCACHE_SERVER__PORT?"),
        ("RESPCACHE_REPLICA_COUNT", "RESPCACHE_REPLICA_COUNT; did you mean RESPCACHE_CLUSTER__REPLICA_COUNT?"),
        ("RESPCACHE_SERVER_PORT", "RESPCACHE_SERVER_PORT; did you mean RESPCACHE_SERVER__PORT?"),
        ("RESPCACHE_HTTP_PORT", "RESPCACHE_HTTP_PORT; did you mean RESPCACHE_HTTP__PORT?"),
        ("RESPCACHE_FOO", "environment: unknown variable RESPCACHE_FOO"),
    ],
)
def test_a_variable_that_misses_its_section_is_a_mistake(variable: str, told: str) -> None:
    """A node that starts on its defaults instead would serve at another port than it was told."""
    with pytest.raises(ConfigError, match=re.escape(told)):
        loaded(environment={variable: "7001"})


def test_variables_that_kubernetes_makes_for_a_service_are_no_settings() -> None:
    """A service called respcache, or respcache-server, puts its address into names that look like ours."""
    environment = {
        f"RESPCACHE_{service}{name}": text
        for service in ("", "SERVER_")
        for name, text in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "6379",
            "SERVICE_PORT_RESP": "6379",
            "PORT": "tcp://10.0.0.1:6379",
            "PORT_6379_TCP": "tcp://10.0.0.1:6379",
            "PORT_6379_TCP_PROTO": "tcp",
            "PORT_6379_TCP_PORT": "6379",
            "PORT_6379_TCP_ADDR": "10.0.0.1",
        }.items()
    }
    assert loaded(environment=environment) == Config()


def test_variables_of_the_build_are_no_settings() -> None:
    """A shell in which the package was built is one to start a node from."""
    assert loaded(environment={"RESPCACHE_PURE": "1"}) == Config()


def test_a_mistake_in_a_flag_is_named() -> None:
    """The flag, and the one that was perhaps meant."""
    with pytest.raises(ConfigError, match="unknown flag --replica-cont; did you mean --replica-count"):
        loaded(flags={"replica-cont": "1"})
    with pytest.raises(ConfigError, match=r"cluster.replica-count = '8' \(flag --replica-count\): .* between 1 and 7"):
        loaded(flags={"replica-count": "8"})


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Named in any source; the line end behind it does not belong to it."""
    secret = tmp_path / "password"
    secret.write_text("swordfish\n")
    file = tmp_path / "respcache.toml"
    file.write_text(f"[server]\nrequirepass-file = '{secret}'\n")
    for config in (
        loaded(file=file),
        loaded(environment={"RESPCACHE_SERVER__REQUIREPASS_FILE": str(secret)}),
        loaded(flags={"requirepass-file": str(secret)}),
    ):
        assert config.server.requirepass == "swordfish"


def test_a_secret_that_is_not_there_is_no_empty_secret(tmp_path: Path) -> None:
    """An empty or missing file stops the start: without a password anyone could come in."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for path in (empty, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="requirepass-file"):
            loaded(flags={"requirepass-file": str(path)})


def test_a_secret_and_its_file_contradict_each_other(tmp_path: Path) -> None:
    """In one source; a later source outweighs an earlier one as always."""
    secret = tmp_path / "password"
    secret.write_text("swordfish")
    with pytest.raises(ConfigError, match="requirepass is given twice"):
        loaded(flags={"requirepass": "x", "requirepass-file": str(secret)})
    config = loaded(environment={"RESPCACHE_SERVER__REQUIREPASS": "x"}, flags={"requirepass-file": str(secret)})
    assert config.server.requirepass == "swordfish"


def test_keys_come_in_a_list_or_from_a_file_that_the_node_reads_itself(tmp_path: Path) -> None:
    """It has to know the file, which it writes when the keys change; a mistake shows no key."""
    config = loaded(flags={"cluster-keys-file": "/run/keys", "cluster-label": "blue", "cluster-plaintext": "yes"})
    assert (config.cluster.keys, config.cluster.keys_file) == ((), "/run/keys")
    assert (config.cluster.label, config.cluster.plaintext) == ("blue", True)
    file = tmp_path / "respcache.toml"
    file.write_text("[cluster]\nkeys = ['a', 'b']\nkeys-file = 'c'\n")
    assert (loaded(file=file).cluster.keys, loaded(file=file).cluster.keys_file) == (("a", "b"), "c")
    assert loaded(environment={"RESPCACHE_CLUSTER__KEYS_FILE": "x"}).cluster.keys_file == "x"
    assert BY_NAME["cluster-keys"].is_secret
    assert not BY_NAME["cluster-keys"].may_be_in_a_file


def test_names_are_unique() -> None:
    """As flags and in CONFIG, where there are no sections, and in the environment."""
    assert len(BY_NAME) == len(OPTIONS) == len({option.variable for option in OPTIONS})


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_reads_back_as_it_is_written(option: object) -> None:
    """CONFIG GET gives what CONFIG SET takes."""
    known = next(other for other in OPTIONS if other is option)
    assert known.parse(known.text(known.default)) == known.default


@given(
    st.integers(min_value=1, max_value=2**33), st.sampled_from([("b", 1), ("K", 1000), ("kb", 1024), ("MB", 1024**2)])
)
def test_memory_is_written_in_redis_units(amount: int, unit: tuple[str, int]) -> None:
    """With a b a kilo has 1024 bytes, without 1000; too little is refused."""
    word, width = unit
    option = BY_NAME["client-query-buffer-limit"]
    if amount * width >= 1024 * 1024:
        assert option.parse(f"{amount}{word}") == amount * width
    else:
        with pytest.raises(ConfigError, match="between 1048576 and"):
            option.parse(f"{amount}{word}")


def test_a_rate_is_written_as_a_size() -> None:
    """Its name has neither the bytes nor the second."""
    option = BY_NAME["rebalance-rate"]
    assert (option.variable, option.parse("50mb")) == ("RESPCACHE_CLUSTER__REBALANCE_RATE", 50 * 1024 * 1024)
    with pytest.raises(ConfigError, match="must be a memory value"):
        option.parse("fast")


@pytest.mark.parametrize("text", ["1", "50", "50kb", "65535"])
def test_a_rate_that_was_meant_otherwise_is_refused(text: str, tmp_path: Path) -> None:
    """In all places; whoever writes 50 hardly means 50 bytes a second."""
    option = BY_NAME["rebalance-rate"]
    file = tmp_path / "node.toml"
    file.write_text(f'[cluster]\nrebalance-rate = "{text}"\n')
    refusal = r"is in bytes a second, and must be at least 64kb, or 0 for no bound"
    with pytest.raises(ConfigError, match=refusal):
        option.parse(text)
    with pytest.raises(ConfigError, match=r"cluster.rebalance-rate = .*node.toml.*" + refusal):
        loaded(file=file)
    with pytest.raises(ConfigError, match=r"environment RESPCACHE_CLUSTER__REBALANCE_RATE.*" + refusal):
        loaded(environment={option.variable: text})
    with pytest.raises(ConfigError, match=r"flag --rebalance-rate.*" + refusal):
        loaded(flags={"rebalance-rate": text})
    with pytest.raises(ConfigError, match=refusal):
        ClusterConfig(rebalance_rate_bytes_per_s=50)
    assert (option.parse("64kb"), option.parse("0")) == (65_536, 0)


@pytest.mark.parametrize("text", ["", "1xb", "mb", "-1mb", "1 mb", "1.5gb", "0x10", "\u0661mb", "1_0mb"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    """In Redis' words."""
    with pytest.raises(ConfigError, match=r"argument must be a memory value|between 1048576"):
        BY_NAME["client-query-buffer-limit"].parse(text)


@pytest.mark.parametrize("text", ["", "1_0", " 1", "1 ", "\u0661", "1.0", "1e1", "one"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    """Even where Python would take it for one."""
    with pytest.raises(ConfigError, match="argument couldn't be parsed into an integer"):
        BY_NAME["timeout"].parse(text)


@pytest.mark.parametrize("text", ["debug", "DEBUG", "Debug"])
def test_words_are_taken_in_any_case(text: str) -> None:
    """As in redis.conf."""
    assert BY_NAME["loglevel"].parse(text) == "debug"


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e10"])
def test_what_is_no_useful_time_is_refused(text: str) -> None:
    """A deadline must come."""
    with pytest.raises(ConfigError, match="argument must be between 0 and 1000000000"):
        BY_NAME["command-timeout"].parse(text)


def test_the_numbers_of_the_failure_detector_are_written_like_the_others(tmp_path: Path) -> None:
    """Bare in their section, with its name in front outside, and once only; empty means what the profile says."""
    file = tmp_path / "respcache.toml"
    file.write_text("[gossip]\nprobe-interval = 0.7\nhealth-max = 3\n")
    config = loaded(file=file, environment={"RESPCACHE_GOSSIP__HEALTH_MAX": ""}, flags={"gossip-fanout": "5"})

    assert (config.gossip.probe_interval_s, config.gossip.health_max, config.gossip.gossip_fanout) == (0.7, None, 5)
    assert {"gossip-interval", "gossip-probe-interval", "gossip-fanout"} <= BY_NAME.keys()


@pytest.mark.parametrize(("text", "complaint"), [("0", "between 0.001"), ("soon", "into a number"), ("-1", "between")])
def test_a_bad_number_of_the_failure_detector_is_named(text: str, complaint: str) -> None:
    """With where it was given, and what would be allowed."""
    with pytest.raises(ConfigError, match=rf"gossip.probe-interval = '{text}' \(flag .*{complaint}"):
        loaded(flags={"gossip-probe-interval": text})
