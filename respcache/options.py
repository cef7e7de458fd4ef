"""The settings as people write them: in a TOML file, in variables, as flags, in CONFIG.

Every field of `config` is an option. Its name is the field's without the unit and with
dashes, as in redis.conf: `tcp_keepalive_s` is `tcp-keepalive`. It is written

    [server]                            tcp-keepalive = 60    in a file
    RESPCACHE_SERVER__TCP_KEEPALIVE=60                        in the environment
    --tcp-keepalive 60                                        as a flag
    CONFIG GET tcp-keepalive                                  at run time

and a later one of these outweighs the earlier ones. Files may have underscores for dashes. A
secret can stand in a file of its own, which `requirepass-file` or `cluster-keys-file` names.
Whatever is not understood is a ConfigError.
"""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, get_args

import msgspec
from msgspec import inspect

from respcache.config import (
    RATE_UNIT,
    SECRETS,
    ClusterConfig,
    Config,
    GossipSettings,
    HttpConfig,
    Section,
    ServerConfig,
    check_rate,
)
from respcache.errors import ConfigError
from respcache.store.events import chosen_by, letters_of

UNITS: Final = (RATE_UNIT, "_bytes", "_s", "_ms", "_us", "_min")
SIZES: Final = (RATE_UNIT, "_bytes")
"""Those that are written as a size, such as 50mb."""
UNIT_KEPT: Final = frozenset({"hll_sparse_max_bytes", "stream_node_max_bytes"})
"""The fields of which Redis' own names have the unit."""
VARIABLE_PREFIX: Final = "RESPCACHE_"
FILE_SUFFIX: Final = "-file"
EVENTS_FIELD: Final = "notify_keyspace_events"
EXAMPLE: Final = "port = 6379 below [server]"
SECTIONS: Final[dict[str, type[Section]]] = {
    "server": ServerConfig,
    "cluster": ClusterConfig,
    "gossip": GossipSettings,
    "http": HttpConfig,
}
QUALIFIED: Final = {
    ("cluster", "label"),
    ("cluster", "keys"),
    ("cluster", "keys_file"),
    ("cluster", "plaintext"),
    ("cluster", "port"),
    ("http", "port"),
    ("http", "enabled"),
}
"""Fields whose bare names would not say what they mean outside their section; all of [gossip] are such."""
NO_SETTINGS: Final = re.compile(
    r"RESPCACHE_(PURE|(TEST|SIM)_\w+)=.*"  # of the build, and of the tests
    r"|RESPCACHE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    r"|RESPCACHE_(\w+_)?PORT=\w+://.*",
    re.DOTALL,
)
"""Variables that begin as ours do and are others'. Kubernetes makes some for each service, and respcache is a likely
name for one."""
PLAIN_NUMBER: Final = re.compile(r"[-+.0-9A-Za-z]+", re.ASCII)
"""Python's own numbers may have underscores, blanks and the digits of any script; redis.conf's may not."""
MEMORY_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}
"""Redis' own: the b makes the difference."""


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One setting, and how its values are written."""

    section: str
    field: str
    type: inspect.Type = dataclasses.field(compare=False)
    """What values are allowed, as msgspec sees the field's annotation."""
    default: object = dataclasses.field(compare=False)
    words: tuple[str, ...] = dataclasses.field(compare=False, default=())
    """The values, where they are words, in the order in which people are told them; msgspec sorts them."""

    @property
    def key(self) -> str:
        """Its name within its section."""
        for unit in UNITS:
            if self.field.endswith(unit) and self.field not in UNIT_KEPT:
                return self.field.removesuffix(unit).replace("_", "-")
        return self.field.replace("_", "-")

    @property
    def name(self) -> str:
        """Its name as a flag and in CONFIG."""
        unclear = self.section == "gossip" or (self.section, self.field) in QUALIFIED
        return f"{self.section}-{self.key}" if unclear and not self.key.startswith(self.section) else self.key

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"{VARIABLE_PREFIX}{self.section}__{self.key}".replace("-", "_").upper()

    @property
    def is_secret(self) -> bool:
        """Whether messages hide the value."""
        return self.field in SECRETS

    @property
    def may_be_in_a_file(self) -> bool:
        """Whether another option, with FILE_SUFFIX, names a file that holds the value."""
        return self.is_secret and f"{self.field}_file" not in SECTIONS[self.section].__struct_fields__

    def parse(self, text: str) -> object:
        """Read a value. Raises ConfigError with the rule that it breaks, in Redis' words."""
        match self.type:
            case inspect.BoolType():
                return _yes_or_no(text)
            case inspect.LiteralType(values=values):
                if text.lower() not in values:
                    raise ConfigError(f"argument(s) must be one of the following: {', '.join(self.words)}")
                return text.lower()
            case inspect.VarTupleType():
                return tuple(text.replace(",", " ").split())
            case inspect.IntType() | inspect.FloatType():
                return self._number(text, self.type)
            case inspect.UnionType(types=types):
                words = [word for part in types if isinstance(part, inspect.LiteralType) for word in part.values]
                if text in words or (not text and not words):
                    return text or None
                number = next(part for part in types if isinstance(part, inspect.IntType | inspect.FloatType))
                return self._number(text, number)
            case inspect.StrType(max_length=limit):
                if limit is not None and len(text) > limit:
                    raise ConfigError(f"argument must have at most {limit} characters")
                return _event_letters(text) if self.field == EVENTS_FIELD else text
            case _:
                raise AssertionError(f"{self.field} has a type that no text can give")

    def text(self, value: object) -> str:
        """Write a value, so that `parse` reads the same."""
        match value:
            case None:
                return ""
            case bool():
                return "yes" if value else "no"
            case tuple():
                return " ".join(value)
            case str() if self.field == EVENTS_FIELD:
                return letters_of(chosen_by(value))
            case float() if value.is_integer():
                return str(int(value))
            case _:
                return str(value)

    def _number(self, text: str, kind: inspect.IntType | inspect.FloatType) -> int | float:
        number: int | float
        try:
            if not PLAIN_NUMBER.fullmatch(text):
                raise ValueError(text)  # noqa: TRY301 # refused like what int() refuses
            if self.field.endswith(SIZES):
                number = _memory(text)
            else:
                number = int(text) if isinstance(kind, inspect.IntType) else float(text)
        except ValueError:
            raise ConfigError(_number_rule(self.field, kind)) from None
        low = -math.inf if kind.ge is None else kind.ge
        high = math.inf if kind.le is None else kind.le
        if not low <= number <= high:
            raise ConfigError(f"argument must be between {low} and {high} inclusive")
        if self.field.endswith(RATE_UNIT):
            check_rate("argument", number)
        return number


def _event_letters(text: str) -> str:
    """Look through the letters of `notify-keyspace-events`. Raises ConfigError."""
    try:
        chosen_by(text)
    except ValueError:
        raise ConfigError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.") from None
    return text


def _yes_or_no(text: str) -> bool:
    verdicts = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    try:
        return verdicts[text.lower()]
    except KeyError:
        raise ConfigError("argument must be 'yes' or 'no'") from None


def _memory(text: str) -> int:
    """Read 1gb and the like. Raises ValueError."""
    digits = text.rstrip("bBkKmMgG")
    unit = MEMORY_UNITS.get(text[len(digits) :].lower())
    if unit is None or not digits.isdecimal():
        raise ValueError(text)
    return int(digits) * unit


def _number_rule(field: str, kind: inspect.IntType | inspect.FloatType) -> str:
    if field.endswith(SIZES):
        return "argument must be a memory value"
    noun = "an integer" if isinstance(kind, inspect.IntType) else "a number"
    return f"argument couldn't be parsed into {noun}"


OPTIONS: Final = tuple(
    Option(section, field.name, inspect.type_info(field.type), field.default, get_args(field.type))
    for section, structure in SECTIONS.items()
    for field in msgspec.structs.fields(structure)
)
"""All settings, in the order of their fields."""

BY_NAME: Final = {option.name: option for option in OPTIONS}


@dataclasses.dataclass(frozen=True, slots=True)
class _Written:
    """A setting as one source has it."""

    option: Option
    given: object
    """Text, or from a TOML file any of its types."""
    source: str
    """For messages: what to look at to mend it."""
    is_path: bool = False
    """Whether `given` is the path of a file that holds the value."""

    def value(self) -> object:
        """Read it. Raises ConfigError that names the setting, its value, the rule and the source."""
        written = self._content() if self.is_path else self
        shown = "(hidden)" if self.option.is_secret else repr(self.given)
        try:
            return self.option.parse(_as_text(written.given))
        except ConfigError as problem:
            raise ConfigError(
                f"{self.option.section}.{self.option.key} = {shown} ({written.source}): {problem}"
            ) from None

    def _content(self) -> "_Written":
        path = str(self.given)
        try:
            secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(f"{self.option.key}{FILE_SUFFIX} = {path!r} ({self.source}): {problem}") from None
        if not secret:
            raise ConfigError(f"{self.option.key}{FILE_SUFFIX} = {path!r} ({self.source}): the file is empty")
        return dataclasses.replace(self, given=secret, source=f"file {path}", is_path=False)


def _as_text(given: object) -> str:
    """Bring what a TOML file can hold into the form in which the other sources have it."""
    match given:
        case bool():
            return "yes" if given else "no"
        case list():
            return " ".join(map(str, given))
        case _:
            return str(given)


def load(*, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """Put a configuration together: defaults < file < environment < flags (by name, without dashes in front).

    Raises ConfigError.
    """
    values: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    for source in (_in_file(file), _in_environment(environment), _in_flags(flags)):
        seen: set[Option] = set()
        for written in source:
            if written.option in seen:
                raise ConfigError(f"{written.source}: {written.option.key} is given twice")
            seen.add(written.option)
            values[written.option.section][written.option.field] = written.value()
    sections = {section: msgspec.convert(given, SECTIONS[section]) for section, given in values.items()}
    return msgspec.convert(sections, Config, from_attributes=True)


def by_key(text: str, section: str) -> str:
    """Have a text name the settings of a section as files and flags do, where it names their fields."""
    for option in OPTIONS:
        if option.section == section:
            text = re.sub(rf"\b{option.field}\b", option.key, text)
    return text


def unknown(what: str, given: str, known: Iterable[str], source: str) -> ConfigError:
    """Make the error for a name that is none, with the nearest one that is."""
    nearest = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return ConfigError(f"{source}: unknown {what} {given}{hint}")


def _in_file(path: Path | None) -> list[_Written]:
    if path is None:
        return []
    source = str(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(f"{source}: {problem.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{source} is no TOML, with settings such as {EXAMPLE}: {problem}") from None
    written = []
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise _misplaced(section, source)
        if section not in SECTIONS:
            raise unknown("section", section, SECTIONS, source)
        known = _spellings(option for option in OPTIONS if option.section == section)
        for key, given in table.items():
            found = known.get(key.replace("_", "-"))
            if found is None:
                raise _unknown_key(section, key, known, source)
            written.append(_Written(found[0], given, source, is_path=found[1]))
    return written


def _unknown_key(section: str, key: str, known: Iterable[str], source: str) -> ConfigError:
    """Make the error for a key that its section does not have: another one may."""
    homes = [other for other in SECTIONS if _named(key, other)]
    if homes:
        belongs = " or ".join(f"[{other}]" for other in homes)
        return ConfigError(f"{source}: unknown key in [{section}]: {key}; it belongs into {belongs}")
    return unknown(f"key in [{section}]:", key, known, source)


def _named(key: str, section: str) -> bool:
    return key.replace("_", "-") in _spellings(option for option in OPTIONS if option.section == section)


def _misplaced(key: str, source: str) -> ConfigError:
    """Make the error for a setting outside all sections, with the one that it belongs to."""
    if key in SECTIONS:
        return ConfigError(f"{source}: {key} is a section, with settings of its own: [{key}]")
    name = key.replace("_", "-")
    option = BY_NAME.get(name) or next((option for option in OPTIONS if option.key == name), None)
    if option is None:
        return unknown("setting", key, BY_NAME, source)
    return ConfigError(f"{source}: {key} stands outside of all sections; put {option.key} under [{option.section}]")


def _in_environment(environment: Mapping[str, str]) -> list[_Written]:
    """Take RESPCACHE_SECTION__KEY, and refuse what was probably meant for one."""
    known = {
        f"{VARIABLE_PREFIX}{section}__{key}".replace("-", "_").upper(): found
        for section in SECTIONS
        for key, found in _spellings(option for option in OPTIONS if option.section == section).items()
    }
    written = []
    for variable, given in sorted(environment.items()):
        if not variable.startswith(VARIABLE_PREFIX) or NO_SETTINGS.fullmatch(f"{variable}={given}"):
            continue
        found = known.get(variable)
        if found is None:
            flag = BY_NAME.get(variable.removeprefix(VARIABLE_PREFIX).replace("_", "-").lower())
            raise unknown("variable", variable, known if flag is None else [flag.variable], "environment")
        written.append(_Written(found[0], given, f"environment {variable}", is_path=found[1]))
    return written


def _in_flags(flags: Mapping[str, str]) -> list[_Written]:
    known = {option.name: (option, False) for option in OPTIONS}
    known |= {option.name + FILE_SUFFIX: (option, True) for option in OPTIONS if option.may_be_in_a_file}
    written = []
    for name, given in flags.items():
        if name not in known:
            raise unknown("flag", f"--{name}", [f"--{flag}" for flag in known], "command line")
        option, is_path = known[name]
        written.append(_Written(option, given, f"flag --{name}", is_path=is_path))
    return written


def _spellings(options: Iterable[Option]) -> dict[str, tuple[Option, bool]]:
    """Map the keys of a section to their options, and whether the value is a path."""
    found = {}
    for option in options:
        found[option.key] = (option, False)
        if option.may_be_in_a_file:
            found[option.key + FILE_SUFFIX] = (option, True)
    return found
