"""The settings themselves."""

import dataclasses
import math

import msgspec
import pytest

from respcache.cluster.membership import GossipConfig
from respcache.config import ClusterConfig, Config, GossipSettings, HttpConfig, ServerConfig
from respcache.errors import ConfigError
from respcache.options import SECTIONS, VARIABLE_PREFIX


def test_the_defaults_are_valid_and_those_of_redis_where_it_has_them() -> None:
    """Nothing has to be configured."""
    config = Config()
    assert (config.server.port, config.server.maxclients, config.server.databases) == (6379, 10_000, 16)
    assert (config.cluster.replica_count, config.http.port) == (2, 9379)


@pytest.mark.parametrize(
    ("structure", "field", "value"),
    [
        (ServerConfig, "port", 65_536),
        (ServerConfig, "port", "6379"),
        (ServerConfig, "maxclients", 0),
        (ServerConfig, "redirect", "sometimes"),
        (ServerConfig, "protected_mode", 1),
        (ServerConfig, "shutdown_timeout_s", -0.5),
        (ServerConfig, "shutdown_timeout_s", math.nan),
        (ServerConfig, "shutdown_timeout_s", math.inf),
        (ClusterConfig, "replica_count", 8),
        (ClusterConfig, "environment", "mars"),
        (ClusterConfig, "name", "x" * 65),
        (ClusterConfig, "join", ("a:1", 2)),
        (GossipSettings, "probe_interval_s", 0.0),
        (GossipSettings, "health_max", 17),
        (HttpConfig, "port", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(structure: type, field: str, value: object) -> None:
    """Whoever builds a configuration in Python learns at once which value is wrong."""
    with pytest.raises(ConfigError, match=f"^{field} = "):
        structure(**{field: value})


@pytest.mark.parametrize(
    ("structure", "field", "value", "rule"),
    [
        (ClusterConfig, "join", "h:1", "a tuple of texts such as 'host:6379', which str(node.address) gives"),
        (ClusterConfig, "join", (("h", 1),), "a tuple of texts such as 'host:6379', which str(node.address) gives"),
        (ClusterConfig, "replica_count", 9, "a whole number from 1 to 7"),
        (ClusterConfig, "port", "x", "a whole number from 0 to 65535 or None"),
        (ClusterConfig, "environment", "mars", "one of lan, local, wan"),
        (ClusterConfig, "name", "x" * 65, "text of at most 64 characters"),
        (ClusterConfig, "weight", None, "a number from 0.01 to 100"),
        (ServerConfig, "bind", 1, "text"),
        (ServerConfig, "protected_mode", "yes", "True or False"),
    ],
)
def test_a_refusal_is_in_words(structure: type, field: str, value: object, rule: str) -> None:
    """Which setting, which value, and what it must be."""
    with pytest.raises(ConfigError) as refusal:
        structure(**{field: value})
    assert str(refusal.value) == f"{field} = {value!r}: must be {rule}"


def test_a_refused_password_is_not_shown() -> None:
    """Error messages end up in logs."""
    with pytest.raises(ConfigError) as refusal:
        ServerConfig(requirepass=b"swordfish")  # type: ignore[arg-type] # that is what is refused
    assert "swordfish" not in str(refusal.value)


def test_sections_are_the_fields_of_the_configuration() -> None:
    """What can be configured in Python can be in files and variables as well."""
    assert {name: type(getattr(Config(), name)) for name in SECTIONS} == SECTIONS
    assert VARIABLE_PREFIX == "RESPCACHE_"


def test_every_number_of_the_failure_detector_can_be_set() -> None:
    """The section has the fields of the profiles, and leaves to the profile what is not given."""
    assert list(GossipSettings.__struct_fields__) == [field.name for field in dataclasses.fields(GossipConfig)]
    assert set(msgspec.structs.asdict(GossipSettings()).values()) == {None}


def test_secrets_are_not_in_a_repr() -> None:
    """Programs print their configuration; whether there is a secret may be seen."""
    config = Config(server=ServerConfig(requirepass="swordfish"), cluster=ClusterConfig(keys=("marlin",)))
    shown = repr(config)
    assert "swordfish" not in shown
    assert "marlin" not in shown
    assert "requirepass=(hidden)" in shown
    assert "keys=(hidden)" in shown
    assert "requirepass=''" in repr(Config())
    with pytest.raises(ConfigError, match=r"keys = \(hidden\)"):
        ClusterConfig(keys=(b"marlin",))  # type: ignore[arg-type] # that is what is refused
