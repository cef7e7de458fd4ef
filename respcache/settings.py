"""The settings of a running node, as CONFIG GET and CONFIG SET see them.

Options are fields of the configuration, and can in part be changed while the node runs. The other names, those of
redis.conf that are no options here, are in `redis_conf`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from respcache.config import Config
from respcache.errors import CommandError, ConfigError
from respcache.options import BY_NAME, Option
from respcache.redis_conf import ALIASES, FACTS, TUNINGS

CHANGEABLE: Final = frozenset(
    {
        "client-output-buffer-limit",
        "client-query-buffer-limit",
        "hash-max-listpack-entries",
        "hash-max-listpack-value",
        "hll-sparse-max-bytes",
        "hz",
        "latency-monitor-threshold",
        "lfu-decay-time",
        "lfu-log-factor",
        "list-max-listpack-size",
        "lua-scripts-max",
        "lua-time-limit",
        "maxclients",
        "maxmemory",
        "maxmemory-clients",
        "maxmemory-policy",
        "maxmemory-samples",
        "notify-keyspace-events",
        "protected-mode",
        "pubsub-memory-max",
        "pubsub-output-buffer-limit",
        "rebalance-rate",
        "requirepass",
        "set-max-intset-entries",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "stream-node-max-bytes",
        "stream-node-max-entries",
        "tcp-keepalive",
        "timeout",
        "tracking-table-max-keys",
        "zset-max-listpack-entries",
        "zset-max-listpack-value",
    }
)
"""Options that a running node can take up; the others shape it when it starts."""

SHARED: Final = frozenset(
    {
        "hash-max-listpack-entries",
        "hash-max-listpack-value",
        "hll-sparse-max-bytes",
        "lfu-decay-time",
        "lfu-log-factor",
        "list-max-listpack-size",
        "notify-keyspace-events",
        "set-max-intset-entries",
        "stream-node-max-bytes",
        "stream-node-max-entries",
        "zset-max-listpack-entries",
        "zset-max-listpack-value",
    }
)
"""Those that say how the data is kept and what is told of it, not how much a machine can bear: a client that sets one
means all keys, wherever they are, so it holds for all nodes."""

UNSHOWN: Final = frozenset({"keys"})
"""Fields that not even CONFIG GET shows: whoever may read settings need not be able to become a node."""
HIDDEN: Final = "(hidden)"

OUTPUT_LIMIT: Final = "client-output-buffer-limit"
PUBSUB_OUTPUT_LIMIT: Final = "pubsub-output-buffer-limit"
OUTPUT_CLASSES: Final = {
    "normal": OUTPUT_LIMIT,
    "pubsub": PUBSUB_OUTPUT_LIMIT,
    "replica": None,
    "slave": None,
}
"""Classes of clients that redis.conf tells apart, and the options that are their hard limits here. No client is a
replica: what is said of those is only checked."""


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

    def __init__(
        self, config: Config, on_change: Callable[[Config], None], on_choice: Callable[[dict[str, str]], None]
    ) -> None:
        """`on_choice` is given what clients have set of SHARED, which other nodes are to `adopt`."""
        self.config = config
        self._on_change: Final = on_change
        self._on_choice: Final = on_choice
        self._tuned: Final[dict[str, object]] = {}
        """Tunings that were set, which nobody goes by."""

    def settle(self, values: Mapping[str, object]) -> None:
        """Take up what became of settings that left it open, such as port 0, or that others have decided on."""
        for name, value in values.items():
            option = BY_NAME[name]
            section = msgspec.structs.replace(getattr(self.config, option.section), **{option.field: value})
            self.config = msgspec.structs.replace(self.config, **{option.section: section})

    def names(self) -> Sequence[str]:
        """List all names, ascending."""
        return sorted(BY_NAME.keys() | FACTS.keys() | TUNINGS.keys() | ALIASES.keys())

    def get(self, name: str) -> str:
        """Give a setting as text. Raises KeyError for a name that `names` does not list."""
        name = ALIASES.get(name, name)
        if name in FACTS:
            return FACTS[name]
        if name in TUNINGS:
            tuning = TUNINGS[name]
            return tuning.text(self._tuned.get(name, tuning.default))
        text = self._text(name)
        if name != OUTPUT_LIMIT:
            return text
        return f"normal {text} 0 0 slave {text} 0 0 pubsub {self._text(PUBSUB_OUTPUT_LIMIT)} 0 0"

    def _text(self, name: str) -> str:
        option = BY_NAME[name]
        value = getattr(getattr(self.config, option.section), option.field)
        if option.field in UNSHOWN:
            return HIDDEN if value else ""
        return option.text(value)

    def set(self, changes: dict[str, str]) -> None:
        """Change settings together, or none. Raises Refused or UnknownSetting."""
        for name in changes:
            if not any(name in names for names in (BY_NAME, FACTS, TUNINGS, ALIASES)):
                raise UnknownSetting(name)
        changed: dict[Option, object] = {}
        tuned: dict[str, object] = {}
        for name, text in changes.items():
            main = ALIASES.get(name, name)
            if main in TUNINGS:
                tuned[main] = _tuned(name, text)
            elif main in CHANGEABLE:
                changed.update(_values(name, text))
            elif text != self.get(name):
                raise Refused(name, "can't set immutable config")
        self._tuned.update(tuned)
        if changed:
            self._change(changed)
        chosen = {
            # what is text is passed on as it was set: as shown, KEA does not tell whether `n` was among the events
            option.name: value if isinstance(value, str) else option.text(value)
            for option, value in changed.items()
            if option.name in SHARED
        }
        if chosen:
            self._on_choice(chosen)

    def adopt(self, chosen: Mapping[str, str]) -> list[str]:
        """Go by what was chosen through other nodes, and return the names whose values mean nothing here."""
        changed: dict[Option, object] = {}
        refused: list[str] = []
        for name, text in chosen.items():
            try:
                changed.update(_values(name, text))
            except Refused:
                refused.append(name)
        if changed:
            self._change(changed)
        return refused

    def _change(self, values: Mapping[Option, object]) -> None:
        fields: dict[str, dict[str, object]] = {}
        for option, value in values.items():
            fields.setdefault(option.section, {})[option.field] = value
        self.config = msgspec.structs.replace(
            self.config,
            **{
                section: msgspec.structs.replace(getattr(self.config, section), **changes)
                for section, changes in fields.items()
            },
        )
        self._on_change(self.config)


def is_shared(name: str) -> bool:
    """Tell whether a setting, by any of its names, holds for all nodes."""
    return ALIASES.get(name, name) in SHARED


def _tuned(name: str, text: str) -> object:
    """Read the value of a tuning. Raises Refused."""
    try:
        return TUNINGS[ALIASES.get(name, name)].parse(text)
    except ConfigError as problem:
        raise Refused(name, problem) from None


def _values(name: str, text: str) -> list[tuple[Option, object]]:
    """Read what a change sets: the option itself, or the limits of several classes of clients. Raises Refused."""
    try:
        texts = _hard_limits(text) if name == OUTPUT_LIMIT else {ALIASES.get(name, name): text}
        return [(BY_NAME[option], BY_NAME[option].parse(value)) for option, value in texts.items()]
    except ConfigError as problem:
        raise Refused(name, problem) from None


def _hard_limits(text: str) -> dict[str, str]:
    """Find the hard limits in redis.conf's `class hard soft soft-seconds ...`, by option. Raises ConfigError.

    A single number is the limit of normal clients.
    """
    words = text.split()
    if len(words) == 1 and words[0][:1].isdigit():
        return {OUTPUT_LIMIT: words[0]}
    if not words or len(words) % 4:
        raise ConfigError("Wrong number of arguments in buffer limit configuration.")
    limits: dict[str, str] = {}
    for kind, hard, soft, soft_s in zip(*[iter(words)] * 4, strict=True):
        if kind not in OUTPUT_CLASSES:
            raise ConfigError("Invalid client class specified in buffer limit configuration.")
        if (soft, soft_s) != ("0", "0"):
            raise ConfigError("Soft limits are not supported.")
        option = OUTPUT_CLASSES[kind]
        if option is not None:
            limits[option] = hard
    return limits
