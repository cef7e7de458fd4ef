"""That no bytes from a client harm a node: an error is all that comes of them."""

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise

import hiredis
import pytest

from integration.clients import clients
from respcache.commands.families import ROWS
from respcache.resp.encode import request
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

REPLY_TIMEOUT_S = 5.0
ENDING = {
    "QUIT",
    "SHUTDOWN",
    "CLUSTER|LEAVE",
    "RESET",
    "CLIENT|KILL",
    "CLIENT|PAUSE",
    "CLIENT|REPLY",
    "MONITOR",
    "SUBSCRIBE",
    "AUTH",
    "HELLO",
}
"""Commands that end the connection, or the server, or change how replies come."""
WAITING = {"WAIT", "WAITAOF"}
"""Commands that wait for as long as they are told, as those do that wait for keys."""
WORDS = (
    b"",
    b"0",
    b"-1",
    b"1",
    b"key",
    b"other",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1e400",
    b"nan",
    b"-inf",
    b"0x10",
    b"\xff\x00\r\n",
    b"*" * 300,
    b"x" * 20_000,
    b"{",
    b"{}{",
    b"[a-",
    b"\\",
    b"EX",
    b"PX",
    b"EXAT",
    b"PXAT",
    b"NX",
    b"XX",
    b"GT",
    b"LT",
    b"GET",
    b"KEEPTTL",
    b"PERSIST",
    b"MATCH",
    b"COUNT",
    b"TYPE",
    b"DB",
    b"REPLACE",
    b"ASYNC",
    b"ON",
    b"ID",
    b"HELP",
)
GARBAGE = (
    b"*1\r\n$4\r\nPING\r\n" * 3 + b"*1\r\n$-5\r\n",
    b"*-10\r\n*0\r\n*1\r\n$4\r\nPING\r\n",
    b"*1048577\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-1\r\n",
    b"*1\r\n$4\r\nPINGxx",
    b"$4\r\nPING\r\n",
    b":1\r\n+OK\r\n-ERR\r\n",
    b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    b'SET "unbalanced\r\n',
    b"PING\n\n\n\r\n\r\nPING\r\n",
    b"\0" * 1000 + b"\r\n",
    b"a" * 70_000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"(" * 100 + b"\r\n",
    b"*2\r\n" * 1000,
)


@pytest.mark.parametrize("seed", range(4))
async def test_absurd_arguments_get_a_reply_and_harm_nothing(seed: int) -> None:
    """Every command with missing, extra and senseless arguments, on a node of two: each call is answered within 5 s."""
    rng = random.Random(seed)
    rows = [row for row in ROWS if row.name not in ENDING | WAITING and row.awaits is None]
    calls = [_call(rng, row.name) for row in rows for _ in range(12)]
    calls = [argv for argv in calls if argv[0].upper() not in {b"SHUTDOWN", b"QUIT", b"RESET"}]
    rng.shuffle(calls)
    async with Cluster(nodes=2) as cluster:
        node = cluster.member(seed % 2)
        reader, writer = await asyncio.open_connection(*node.address)
        parser = hiredis.Reader(notEnoughData=Ellipsis)
        for argv in calls:
            writer.write(request(argv))
            try:
                async with asyncio.timeout(REPLY_TIMEOUT_S):
                    await _reply(reader, parser)
            except (TimeoutError, EOFError) as failure:
                pytest.fail(f"seed {seed}: {failure!r} instead of a reply to {[word[:60] for word in argv]}")
        writer.close()
        await _is_well(cluster)


@pytest.mark.parametrize("piecewise", [False, True], ids=["whole", "in pieces"])
async def test_malformed_bytes_end_their_connection_only(piecewise: bool) -> None:  # noqa: FBT001 # pytest passes it
    """Whatever is no RESP is answered with an error, or waited out, and others are served meanwhile."""
    rng = random.Random(5)
    async with Cluster(nodes=2) as cluster:
        address = cluster.member(0).address
        for garbage in GARBAGE:
            await _throw(address, _pieces(rng, garbage) if piecewise else [garbage])
        await _is_well(cluster)


@pytest.mark.parametrize("seed", range(4))
async def test_random_bytes_are_survived_on_every_port(seed: int) -> None:
    """Noise, and valid requests with flipped bytes, on the RESP and the cluster port and as datagrams."""
    rng = random.Random(seed)
    async with Cluster(nodes=2) as cluster:
        node = cluster.member(0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=node.cluster_address)
        for _ in range(150):
            noise = bytearray(request([b"SET", b"key", rng.randbytes(rng.randrange(50))]) * 3)
            for _ in range(rng.randrange(1, 6)):
                noise[rng.randrange(len(noise))] = rng.randrange(256)
            await _throw(node.address, [bytes(noise)])
            await _throw(node.cluster_address, [rng.randbytes(rng.randrange(1, 200))])
            await _throw(
                node.cluster_address, [len(noise).to_bytes(4, "big") + bytes((rng.randrange(6),)) + bytes(noise)]
            )
            transport.sendto(rng.randbytes(rng.randrange(1, 1400)))
        transport.close()
        await _is_well(cluster)


def _call(rng: random.Random, name: str) -> list[bytes]:
    """Make a call of a command with arguments that are drawn without regard to what they mean."""
    words = [rng.choice(WORDS) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 7)))]
    return [*name.encode().split(b"|"), *words]


def _pieces(rng: random.Random, whole: bytes) -> list[bytes]:
    """Cut bytes at random places."""
    places = sorted({0, len(whole), *(rng.randrange(len(whole)) for _ in range(6))})
    return [whole[start:end] for start, end in pairwise(places)]


async def _reply(reader: asyncio.StreamReader, parser: hiredis.Reader) -> object:
    """Read one reply. Raises EOFError."""
    while (reply := parser.gets()) is Ellipsis:
        chunk = await reader.read(1 << 16)
        if not chunk:
            raise EOFError
        parser.feed(chunk)
    return reply


async def _throw(address: tuple[str, int], chunks: Sequence[bytes]) -> None:
    """Send bytes, say no more, and read until the node hangs up, or what it answers is read."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            await reader.read()
    except ConnectionError:
        pass  # the node has hung up already
    finally:
        writer.close()


async def _is_well(cluster: Cluster) -> None:
    """Check that the cluster is whole, and that every node serves."""
    await cluster.wait_for_convergence(2, timeout_s=5.0)
    async with clients(cluster.members()) as redis:
        for one in redis:
            async with asyncio.timeout(2.0):
                await one.flushall()
                await one.set("key", "value")
                assert [await other.get("key") for other in redis] == [b"value"] * 2
