"""The tools that come with Redis: redis-cli and redis-benchmark."""

import re
import shutil
import subprocess

import pytest
import redis

from respcache.resp.encode import request
from respcache.testing import LocalCluster

TIMEOUT_S = 60.0
BENCHMARK_TIMEOUT_S = 300.0
"""20,000 requests, some of them long: seconds on a machine that does nothing else."""

needs_cli = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-cli on PATH")
needs_benchmark = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="needs redis-benchmark on PATH")


def _run(*command: str, timeout_s: float = TIMEOUT_S) -> str:
    """Run a tool to its end, and give what it prints."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def place(url: str) -> tuple[str, str]:
    """Give host and port of a node, with a key of each type and fifty strings in the cluster."""
    with redis.Redis.from_url(url) as client:
        client.mset({f"k{number}": "x" * number for number in range(50)})
        client.rpush("list", *range(100))
        client.sadd("set", *range(20))
        client.hset("hash", "field", "value")
        client.zadd("scores", {"a": 1})
    host, _, port = url.removeprefix("redis://").partition(":")
    return host, port


@needs_cli
def test_redis_cli_walks_all_keys(place: tuple[str, str]) -> None:
    """`--scan`, `--bigkeys` and `--memkeys` see the keys of all nodes through one."""
    cli = ("redis-cli", "-h", place[0], "-p", place[1])
    assert len(set(_run(*cli, "--scan").split())) == 54
    big = _run(*cli, "--bigkeys")
    assert "Sampled 54 keys in the keyspace!" in big
    assert "1 lists with 100 items" in big
    assert "Sampled 54 keys in the keyspace!" in _run(*cli, "--memkeys")


@needs_cli
def test_redis_cli_shows_what_a_node_does(place: tuple[str, str]) -> None:
    """`--stat` prints a line of figures each second; a map of RESP3 becomes JSON."""
    cli = ("redis-cli", "-h", place[0], "-p", place[1])
    with subprocess.Popen([*cli, "-i", "0.05", "--stat"], stdout=subprocess.PIPE, text=True) as stat:
        assert stat.stdout is not None
        lines = [stat.stdout.readline() for _ in range(4)]
        stat.terminate()  # it would go on for ever
    assert lines[1].split()[:3] == ["keys", "mem", "clients"]
    assert _run(*cli, "-3", "--json", "HGETALL", "hash").strip() == '{"field":"value"}'


@needs_cli
def test_redis_cli_finds_the_cluster_sound(cluster: LocalCluster, place: tuple[str, str]) -> None:
    """`--cluster check` finds three masters that agree, and all slots covered."""
    told = _run("redis-cli", "--cluster", "check", f"{place[0]}:{place[1]}")
    assert f"54 keys in {len(cluster.addresses)} masters" in told
    assert "[OK] All nodes agree about slots configuration." in told
    assert "[OK] All 16384 slots covered." in told


@needs_cli
def test_redis_cli_measures_latency(place: tuple[str, str]) -> None:
    """`--latency` prints least, greatest and mean of its samples when it is asked for once."""
    told = _run("redis-cli", "-h", place[0], "-p", place[1], "-i", "0.2", "--raw", "--latency")
    least, greatest, mean, samples = (float(figure) for figure in told.split()[:4])
    assert 0 <= least <= mean <= greatest
    assert samples >= 1


@needs_cli
def test_redis_cli_fills_the_cluster_by_pipe(place: tuple[str, str]) -> None:
    """`--pipe` sends thousands of writes to keys of all nodes and waits for their replies, refusals too."""
    calls = [[b"SET", b"pipe:%d" % number, b"x" * 20] for number in range(5000)] + [[b"LPUSH", b"pipe:0", b"x"]]
    done = subprocess.run(
        ["redis-cli", "-h", place[0], "-p", place[1], "--pipe"],
        check=False,
        input=b"".join(request(argv) for argv in calls),
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert b"errors: 1, replies: 5001" in done.stdout, done.stdout + done.stderr
    assert len(_run("redis-cli", "-h", place[0], "-p", place[1], "--scan", "--pattern", "pipe:*").split()) == 5000


@needs_cli
def test_redis_cli_monitors_a_node(place: tuple[str, str]) -> None:
    """`MONITOR` shows what the clients of that node do."""
    cli = ["redis-cli", "-h", place[0], "-p", place[1]]
    with subprocess.Popen([*cli, "MONITOR"], stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        assert monitor.stdout.readline() == "OK\n"
        _run(*cli, "SET", "k1", "a b")
        shown = monitor.stdout.readline()
        monitor.terminate()  # it would go on for ever
    assert re.fullmatch(r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "k1" "a b"\n', shown)


@needs_benchmark
@pytest.mark.timeout(BENCHMARK_TIMEOUT_S + 60)
@pytest.mark.parametrize("mode", [(), ("--cluster",)], ids=["through one node", "to the owners"])
def test_redis_benchmark_runs_all_its_tests(place: tuple[str, str], mode: tuple[str, ...]) -> None:
    """Its default list, with random keys; none of them gets an error."""
    to = ("redis-benchmark", "-h", *place[:1], "-p", place[1])
    told = _run(*to, "-n", "1000", "-r", "100", "-q", "-e", *mode, timeout_s=BENCHMARK_TIMEOUT_S)
    assert "rror" not in told
    tests = {line.rsplit("\r", 1)[-1].partition(":")[0] for line in told.splitlines() if "requests per second" in line}
    assert {"PING_INLINE", "SET", "GET", "INCR", "LPUSH", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN"} <= tests
    assert {"LRANGE_600 (first 600 elements)", "MSET (10 keys)"} <= tests
