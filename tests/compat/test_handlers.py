"""The commands alone, without a server around them, beside a real Redis."""

import time

import pytest

from compat.comparison import differences
from compat.conftest import Connect
from compat.generator import FORMS, KINDS, NEWER, script
from compat.targets import Direct
from compat.written import scripts
from respcache.commands.families import ROWS

ELSEWHERE = {b"DEBUG", b"FLUSHALL", b"MEMORY"}
"""Commands on data whose answers other tests compare."""
SEEDS = range(200)
"""10,000 calls, in two seconds."""


def _direct(protocol: int) -> Direct:
    return Direct(protocol=protocol, now_unix_ms=int(time.time() * 1000))


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", list(scripts()))
def test_written_calls_are_answered_as_by_redis(oracle: Connect, protocol: int, name: str) -> None:
    """Every reply to the written calls has the same bytes."""
    found = differences(name, scripts()[name], oracle(protocol), _direct(protocol))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("protocol", [2, 3])
def test_generated_calls_are_answered_as_by_redis(oracle: Connect, protocol: int) -> None:
    """Every reply to calls by chance, right and wrong ones, has the same bytes."""
    connection = oracle(protocol)
    found = [
        difference
        for seed in SEEDS
        for difference in differences(f"script({seed})", script(seed), connection, _direct(protocol))[:1]
    ]
    assert not found, f"{len(found)} scripts differ, the first ones:\n" + "\n".join(map(str, found[:5]))


def test_the_generator_calls_every_data_command_and_is_refused_now_and_then() -> None:
    """The scripts reach every command, and mistakes are a part of them."""
    made = [script(seed, of=of) for seed in SEEDS for of in (KINDS, NEWER)]
    calls = [argv for each in made for argv in each]
    replies = [frame for each in made for frame in _direct(2).run(each)]
    refused = sum(frame.wire.startswith(b"-") for frame in replies)

    assert {argv[0].upper() for argv in calls} >= FORMS.keys()
    data = {row.name.partition("|")[0].encode() for row in ROWS if row.key_at or row.on_keys is not None}
    assert FORMS.keys() >= data - ELSEWHERE, "commands that the generator does not call"
    assert len(calls) > 20_000
    assert len(calls) * 0.1 < refused < len(calls) * 0.5
