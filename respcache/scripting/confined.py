"""Tells by the text of a script that it comes to no keys but those that it declares. Pure.

Only what is certain counts: wherever a command is called its name stands there, and in the place of its key
`KEYS[n]`, or a local name for that; and nothing in the text could make `redis` or `KEYS` mean anything else. Most
scripts are like that: limits, locks, counters. What is not understood is taken for a script that may go anywhere.
"""

import re
from typing import Final

from respcache.commands.registry import lookup

_TOKEN: Final = re.compile(
    rb"--\[(=*)\[.*?\]\1\]|--[^\n]*"  # comments
    rb"|(?P<token>\[(?P<level>=*)\[.*?\](?P=level)\]"  # long strings
    rb"|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*|\d[\w.]*|\.\.\.?|[=~<>]=|[^\s])",
    re.DOTALL,
)
_NAME: Final = re.compile(rb"[A-Za-z_]\w*")
_TEXT_MAX_BYTES: Final = 64 * 1024
"""Longer texts are not looked at."""
_OPEN: Final = frozenset(
    b"_G debug dofile getfenv getmetatable load loadfile loadstring module newproxy package rawset require "
    b"setfenv setmetatable".split()
)
"""Names with which a script may come by what its text does not show."""
_HARMLESS: Final = frozenset(
    b"LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING error_reply log replicate_commands setresp sha1hex "
    b"status_reply".split()
)
"""What `redis` has besides `call` and `pcall`."""
_WHOLLY_KEYS: Final = frozenset({b"DEL", b"EXISTS", b"MGET", b"TOUCH", b"UNLINK"})
"""Commands whose arguments are all keys."""
_KEYLESS: Final = frozenset({b"TIME"})
_BINARY: Final = frozenset({b"and", b"or"})


def is_confined(text: bytes) -> bool:
    """Tell whether a script certainly comes to no keys but those that it declares."""
    if len(text) > _TEXT_MAX_BYTES:
        return False
    tokens = [found["token"] for found in _TOKEN.finditer(text) if found["token"] is not None]
    return _Reading([*tokens, b"", b"", b"", b"", b"", b""]).understood()


class _Reading:
    """One text, as its words, with some empty ones behind them to look ahead to."""

    def __init__(self, tokens: list[bytes]) -> None:
        self._tokens: Final = tokens
        self._aliases: Final[set[bytes]] = set()
        """Local names that stand for keys."""
        self._declared: Final[set[int]] = set()
        """Where they are said to."""
        self._keys: Final[set[int]] = set()
        """Where `KEYS`, or such a name, stands for the key of a command."""

    def understood(self) -> bool:
        """Tell whether every command has keys of the script, and nothing could make them others."""
        tokens = self._tokens
        for at in range(len(tokens) - 5):
            if tokens[at] == b"local" and self._is_key(at + 3) and tokens[at + 2] == b"=" and self._ends(at + 7):
                self._aliases.add(tokens[at + 1])
                self._declared.update((at + 1, at + 3))
        return all(self._is_harmless(at, token) for at, token in enumerate(tokens))

    def _is_harmless(self, at: int, token: bytes) -> bool:
        tokens = self._tokens
        if token in _OPEN:
            return False
        if token == b"redis":
            return tokens[at + 1] == b"." and (tokens[at + 2] in _HARMLESS or self._calls(at + 2))
        if token == b"KEYS":
            if at in self._keys or at in self._declared or (at and tokens[at - 1] == b"#"):
                return True
            return self._is_key(at) and tokens[at + 4] not in {b"=", b","}
        return token not in self._aliases or at in self._keys or at in self._declared

    def _calls(self, at: int) -> bool:
        """Tell whether what stands behind `redis.` is a call of a command on keys of the script."""
        tokens = self._tokens
        if tokens[at] not in {b"call", b"pcall"} or tokens[at + 1] != b"(" or tokens[at + 2][:1] not in {b'"', b"'"}:
            return False
        name = tokens[at + 2][1:-1].upper()
        if name in _KEYLESS:
            return tokens[at + 3] == b")"
        row = lookup(name)
        if row is None or row.beyond is not None or not (row.key_at == 1 or name in _WHOLLY_KEYS):
            return False
        at = self._past_key(at + 3)
        while name in _WHOLLY_KEYS and at and tokens[at] != b")":
            at = self._past_key(at)
        return at > 0

    def _past_key(self, at: int) -> int:
        """Give the place behind a comma and a key that ends with the argument; 0 if that is not what stands there."""
        tokens = self._tokens
        behind = at + 2
        if self._is_key(at + 1):
            behind = at + 5
        elif tokens[at + 1] not in self._aliases:
            return 0
        if tokens[at] != b"," or tokens[behind] not in {b",", b")"}:
            return 0
        self._keys.add(at + 1)
        return behind

    def _is_key(self, at: int) -> bool:
        """Tell whether `KEYS[n]` stands here."""
        keys, opening, number, closing = self._tokens[at : at + 4] if at + 4 <= len(self._tokens) else [b""] * 4
        return keys == b"KEYS" and opening == b"[" and number.isdigit() and closing == b"]"

    def _ends(self, at: int) -> bool:
        """Tell whether a value has ended before this place: a statement begins, or the text is over."""
        token = self._tokens[at] if at < len(self._tokens) else b""
        return token in {b"", b";"} or (_NAME.fullmatch(token) is not None and token not in _BINARY)
