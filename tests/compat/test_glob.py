"""Glob patterns beside those of a real Redis."""

from random import Random

from compat.conftest import Connect
from respcache.glob import matcher

ALPHABET = b"ab-^*?[]\\\x80\xff"
TEXTS = 200
PATTERNS = 1_500


def _text(rng: Random, longest: int) -> bytes:
    return bytes(rng.choice(ALPHABET) for _ in range(rng.randint(0, longest)))


def test_patterns_match_what_they_match_in_redis(oracle: Connect) -> None:
    """KEYS of a real Redis gives the keys for which the matcher says so, for patterns full of corners."""
    rng = Random(1)
    connection = oracle(2)
    texts = sorted({_text(rng, 4) for _ in range(TEXTS)})
    patterns = [pattern for _ in range(PATTERNS) if (pattern := _text(rng, 7)) != b"*"]
    connection.run([[b"FLUSHALL"], [b"MSET", *(word for text in texts for word in (text, b""))]])

    answers = connection.run([[b"KEYS", pattern] for pattern in patterns])
    for pattern, answer in zip(patterns, answers, strict=True):
        assert answer.elements is not None
        matched = sorted(frame.wire.split(b"\r\n", 1)[1][:-2] for frame in answer.elements)
        matches = matcher(pattern)
        assert [text for text in texts if matches(text)] == matched, pattern
