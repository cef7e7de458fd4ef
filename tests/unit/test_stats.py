"""Counters of one node."""

from respcache.stats import CODES_MAX, DURATION_BUCKETS, OTHER, Stats, code_of


def test_every_command_has_its_own_counters() -> None:
    """Lists are not shared between commands, or nodes."""
    one, other = Stats(3), Stats(3)
    one.durations[0][5] += 1
    one.calls[1] += 1
    assert one.durations[1] == other.durations[0] == [0] * DURATION_BUCKETS
    assert (one.calls, other.calls) == ([0, 1, 0], [0, 0, 0])


def test_errors_are_counted_by_prefix() -> None:
    """A prefix appears with its first error."""
    stats = Stats(0)
    for code in ("ERR", "MOVED", "ERR"):
        stats.count_error(code)
    assert stats.errors == {"ERR": 2, "MOVED": 1}


def test_scripts_make_up_no_more_codes_than_are_counted() -> None:
    """What comes beyond is counted together; those that are known go on."""
    stats = Stats(0)
    for number in range(2 * CODES_MAX):
        stats.count_error(f"E{number}")
    stats.count_error("E0")
    assert len(stats.errors) == CODES_MAX + 1
    assert (stats.errors["E0"], stats.errors[OTHER]) == (2, CODES_MAX)


def test_a_refusal_and_a_failure_are_told_apart_by_the_code() -> None:
    """Of the one nothing was run; what is no error counts as neither."""
    stats = Stats(2)
    for wire in (b"-OOM no\r\n", b"-ERR no such key\r\n", b"-nothing\r\n", b"+OK\r\n", b""):
        assert stats.told(1, wire) == wire
    assert (stats.rejected, stats.failed) == ([0, 1], [0, 2])
    assert stats.errors == {"OOM": 1, "ERR": 2}


def test_the_code_of_an_error_fits_into_a_line_of_info() -> None:
    """A first word of up to 31 characters, with Redis' own substitutes; without one it is ERR."""
    assert code_of(b"WRONGTYPE Operation") == "WRONGTYPE"
    assert code_of(b"A:b#c d") == "A_b_c"
    assert code_of(b"x" * 31 + b" y") == "x" * 31
    assert {code_of(b"x" * 32 + b" y"), code_of(b""), code_of(b"word")} == {"ERR"}
