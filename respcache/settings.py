"""The settings of a running node, as CONFIG GET and CONFIG SET see them.

Two kinds: options, which are fields of the configuration and can in part be changed while
the node runs; and facts, names from redis.conf that clients and monitors ask for, whose
value follows from what this server is.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from respcache.config import Config
from respcache.errors import CommandError, ConfigError
from respcache.options import BY_NAME, SECTIONS, Option

CHANGEABLE: Final = frozenset(
    {
        "client-output-buffer-limit",
        "client-query-buffer-limit",
        "hz",
        "maxclients",
        "protected-mode",
        "requirepass",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "tcp-keepalive",
        "timeout",
    }
)
"""Options that a running node can take up; the others shape it when it starts."""

FACTS: Final = {
    "activedefrag": "no",
    "aclfile": "",
    "appendfsync": "no",
    "appendonly": "no",
    "cluster-enabled": "yes",
    "cluster-require-full-coverage": "no",
    "daemonize": "no",
    "dir": "",
    "dbfilename": "",
    "io-threads": "1",
    "latency-monitor-threshold": "0",
    "latency-tracking": "yes",
    "latency-tracking-info-percentiles": "50 99 99.9",
    "lazyfree-lazy-expire": "no",
    "lazyfree-lazy-user-del": "no",
    "logfile": "",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "notify-keyspace-events": "",
    "proto-max-bulk-len": "536870912",
    "replica-read-only": "yes",
    "save": "",
    "slave-read-only": "yes",
    "supervised": "no",
    "tcp-backlog": "511",
    "tls-port": "0",
    "unixsocket": "",
}

OUTPUT_LIMIT: Final = "client-output-buffer-limit"
OUTPUT_CLASSES: Final = ("normal", "slave", "replica", "pubsub")
"""Classes of clients that redis.conf tells apart; here one hard limit holds for all."""


class Refused(CommandError):
    """CONFIG SET asked for something that cannot be; no setting was changed."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"CONFIG SET failed (possibly related to argument '{name}') - {reason}")


class UnknownSetting(CommandError):
    """CONFIG SET named no setting of this server; no setting was changed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown option or number of arguments for CONFIG SET - '{name}'")


class LiveSettings:
    """Holds the configuration in force; whoever keeps parts of it is told of a new one."""

    def __init__(self, config: Config, on_change: Callable[[Config], None]) -> None:
        self.config = config
        self._on_change: Final = on_change

    def names(self) -> Sequence[str]:
        """List all names, ascending."""
        return sorted(BY_NAME.keys() | FACTS.keys())

    def get(self, name: str) -> str:
        """Give a setting as text. Raises KeyError for a name that `names` does not list."""
        if name in FACTS:
            return FACTS[name]
        option = BY_NAME[name]
        text = option.text(getattr(getattr(self.config, option.section), option.field))
        return f"normal {text} 0 0 slave {text} 0 0 pubsub {text} 0 0" if name == OUTPUT_LIMIT else text

    def set(self, changes: dict[str, str]) -> None:
        """Change settings together, or none. Raises Refused or UnknownSetting."""
        for name in changes:
            if name not in BY_NAME and name not in FACTS:
                raise UnknownSetting(name)
        fields: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
        for name, text in changes.items():
            if name not in CHANGEABLE:
                if text != self.get(name):
                    raise Refused(name, "can't set immutable config")
                continue
            option = BY_NAME[name]
            fields[option.section][option.field] = _parsed(option, text)
        sections = {
            section: msgspec.structs.replace(getattr(self.config, section), **values)
            for section, values in fields.items()
            if values
        }
        if sections:
            self.config = msgspec.structs.replace(self.config, **sections)
            self._on_change(self.config)


def _parsed(option: Option, text: str) -> object:
    try:
        return option.parse(_hard_limit(text) if option.name == OUTPUT_LIMIT else text)
    except ConfigError as problem:
        raise Refused(option.name, problem) from None


def _hard_limit(text: str) -> str:
    """Find the hard limit in redis.conf's `class hard soft soft-seconds ...`. Raises ConfigError."""
    words = text.split()
    if len(words) == 1 and words[0][:1].isdigit():
        return words[0]
    if not words or len(words) % 4:
        raise ConfigError("Wrong number of arguments in buffer limit configuration.")
    hard_limits: set[str] = set()
    for kind, hard, soft, soft_s in zip(*[iter(words)] * 4, strict=True):
        if kind not in OUTPUT_CLASSES:
            raise ConfigError("Invalid client class specified in buffer limit configuration.")
        if (soft, soft_s) != ("0", "0"):
            raise ConfigError("Soft limits are not supported.")
        hard_limits.add(hard)
    if len(hard_limits) != 1:
        raise ConfigError("One hard limit holds for all classes of clients.")
    return hard_limits.pop()
