"""A cluster with keys: nobody else joins it, reads it or disturbs it, and its keys change while it serves."""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from integration.clients import clients, command, in_batches, until
from integration.processes import Processes, eventually
from integration.workload import Workload
from respcache.cli import main
from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import JoinTimeout, ReplyError
from respcache.net import frames, messages
from respcache.net.messages import Greeting
from respcache.net.sealed import Wire
from respcache.net.seeds import discover
from respcache.node import Node
from respcache.testing import Cluster, Setting

pytestmark = pytest.mark.integration

SEED: Final = 4
OLD, NEW, FOREIGN = (Key.of(bytes([number]) * 32) for number in (1, 2, 3))
TIMEOUT_S: Final = 30.0


async def step(node: Node, verb: str, *subject: str) -> list[object]:
    """Take a step with the keys; all nodes must have done it. Give the keys of each."""
    answer = await node.execute("CLUSTER", "KEYS", verb, *subject)
    assert isinstance(answer, list)
    keys: list[object] = []
    for told in answer:
        assert isinstance(told, dict)
        assert told[b"result"] == b"done", told
        keys.append(told[b"keys"])
    return keys


async def refused(node: Node, verb: str, *subject: str) -> str:
    """Have a step refused; give the words."""
    with pytest.raises(ReplyError) as refusal:
        await node.execute("CLUSTER", "KEYS", verb, *subject)
    return str(refusal.value)


async def remove_when_safe(node: Node, key: Key) -> list[object]:
    """Take the last step, as soon as no connection rests on the key any more."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await step(node, "REMOVE", key.fingerprint)
            except ReplyError as refusal:
                if "connections" not in str(refusal):
                    raise


def dropped(nodes: Sequence[Node], *reasons: str) -> int:
    """Add up what nodes have dropped for these reasons."""
    total = 0
    for node in nodes:
        assert node._runtime is not None
        assert node._runtime.sealing is not None
        rejected, sealed = node._runtime._rejected(), node._runtime.sealing.datagrams.dropped
        total += sum(sealed[reason] + rejected.get(reason, 0) for reason in reasons)
    return total


async def test_keys_are_rotated_under_load_without_an_error() -> None:
    """Install, use, remove while commands go through all nodes; twice, each step through another node."""
    async with Cluster(nodes=3, cluster_keys=(OLD.text,)) as cluster, Workload(SEED) as workload:
        nodes = cluster.members()
        for node in nodes:
            workload.use(node.address)
        async with workload.running() as report:
            for old, new in ((OLD, NEW), (NEW, FOREIGN)):
                before = report.commands
                await step(nodes[0], "INSTALL", new.text)
                await step(nodes[1], "USE", new.fingerprint)
                assert await remove_when_safe(nodes[2], old) == [[new.fingerprint.encode()]] * 3
                while report.commands < before + 300:  # noqa: ASYNC110 # commands are counted, and tell nobody
                    await asyncio.sleep(0.01)
        assert report.failures == []
        await workload.check()
        assert [member.state for node in nodes for member in node.members()] == ["alive"] * 9
        assert dropped(nodes, "auth", "key", "replay", "plaintext") == 0
        for node in nodes:
            assert node._runtime is not None
            assert node._runtime.replicator.links.reconnects == 0


@pytest.mark.parametrize(
    "settings", [{}, {"cluster_keys": (FOREIGN.text,)}, {"cluster_keys": (OLD.text,), "cluster_label": "other"}]
)
async def test_a_node_without_the_key_cannot_join(settings: dict[str, Setting]) -> None:
    """Without keys, with another one, with another label; the members do not even know its name."""
    async with Cluster(nodes=2, cluster_keys=(OLD.text,)) as cluster:
        nodes = cluster.members()
        outsider: dict[str, Setting] = {"cluster_keys": (), "name": "outsider", "join_timeout_s": 60.0, **settings}
        joining = asyncio.create_task(cluster.add_member(**outsider))
        await until(lambda: dropped(nodes, "plaintext", "key", "auth") > 0, "it is refused", timeout_s=30.0)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        for node in nodes:
            assert node._runtime is not None
            assert node._runtime.membership.member("outsider") is None
        await nodes[0].set("k", "v")
        assert await nodes[1].get("k") == b"v"


async def test_an_outsider_on_the_wire_gets_nothing_but_addresses() -> None:
    """It asks, injects, and plays back what it has recorded, over TCP and UDP: nothing happens."""
    async with Cluster(nodes=2, cluster_keys=(OLD.text,)) as cluster:
        nodes = cluster.members()
        target = nodes[0].cluster_address
        assert await discover(target) == await discover(nodes[0].address) == target
        for words in (
            frames.frame(frames.HELLO, messages.encode_greeting(Greeting("outsider", 1))),
            frames.frame(frames.GOSSIP, b"\x96" + bytes(20)),
            frames.frame(frames.KEYS, bytes(20)),
            b"\xff" * 100,
        ):
            assert await said(target, [words]) == [b""]
        recorded, heard = await conversation(target)
        assert not any(b"secret" in words for words in (*recorded, *heard))
        again = await said(target, recorded)
        assert again[0] != heard[0]
        assert again[1:] == [b""]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outsider:
            for datagram in (b"", b"x", b"\x96" + bytes(100), b"\xc1" + bytes(100), b"\xc1\x10" + bytes(2000)):
                outsider.sendto(datagram, target)
        await until(lambda: dropped(nodes[:1], "oversize") > 0, "datagrams are counted")
        assert [member.state for node in nodes for member in node.members()] == ["alive"] * 4
        await nodes[0].set("k", "v")
        assert await nodes[1].get("k") == b"v"


async def said(target: tuple[str, int], words: Sequence[bytes]) -> list[bytes]:
    """Say something, piece by piece; give the answer to each until the other side hangs up."""
    reader, writer = await asyncio.open_connection(*target)
    answers = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            for piece in words:
                writer.write(piece)
                answers.append(await reader.read(100_000))
                if not answers[-1]:
                    break
    except ConnectionResetError:
        answers.append(b"")
    finally:
        writer.close()
    return answers


async def conversation(target: tuple[str, int]) -> tuple[list[bytes], list[bytes]]:
    """Have a member talk to a node; give what an eavesdropper hears of both sides."""
    member = Sealing(Keyring((OLD,)), Identity("a-member", 1), label="", entropy=secrets.token_bytes)
    wire = Wire(member, dialled=target)
    spoken, heard = [wire.begin()], []
    reader, writer = await asyncio.open_connection(*target)
    writer.write(spoken[0])
    heard.append(await reader.read(100_000))
    wire.feed(heard[0])
    spoken.append(wire.seal(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a-member", 1)))))
    spoken.append(wire.seal(frames.frame(frames.KEEPER, b"secret")))
    writer.write(spoken[1])
    heard.append(await reader.read(100_000))
    assert wire.feed(heard[1])[0][0] == frames.HELLO
    writer.close()
    return spoken, heard


async def test_a_node_that_missed_two_steps_still_joins_and_holds_up_the_third() -> None:
    """It has the old key alone: it is understood, and `remove` is refused until it has been given the new one."""
    async with Cluster(nodes=2, cluster_keys=(OLD.text,)) as cluster:
        first = cluster.member(0)
        await step(first, "INSTALL", NEW.text)
        await step(first, "USE", NEW.fingerprint)
        late = await cluster.add_member()
        await cluster.wait_for_convergence(3)
        await late.set("k", "v")
        assert await first.get("k") == b"v"
        assert f"primary key of {late.name}" in await refused(first, "REMOVE", OLD.fingerprint)
        assert f"{late.name} lack {NEW.fingerprint}" in await refused(first, "USE", NEW.fingerprint)
        await step(late, "INSTALL", NEW.text)
        await step(late, "USE", NEW.fingerprint)
        assert await remove_when_safe(late, OLD) == [[NEW.fingerprint.encode()]] * 3
        await cluster.wait_for_copies()
        assert [member.state for node in cluster.members() for member in node.members()] == ["alive"] * 9


async def test_a_node_that_missed_all_steps_is_told_and_joins_with_the_new_key(tmp_path: Path) -> None:
    """Its file has the old key; those of the nodes that were there have the new one, and they restart from them."""
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_text(OLD.text)
        file.chmod(0o600)
    async with Cluster() as cluster:
        nodes = [await cluster.add_member(cluster_keys_file=str(file)) for file in files[:2]]
        await step(nodes[0], "INSTALL", NEW.text)
        await step(nodes[1], "USE", NEW.fingerprint)
        await remove_when_safe(nodes[0], OLD)
        with pytest.raises(JoinTimeout, match="or none that has this node's keys"):
            await cluster.add_member(cluster_keys_file=str(files[2]), join_timeout_s=1.0)
        files[2].write_text(NEW.text)
        await cluster.add_member(cluster_keys_file=str(files[2]))
        await cluster.close(1)
        await cluster.add_member(cluster_keys_file=str(files[1]))
        await cluster.wait_for_convergence(3)


async def test_a_cluster_moves_from_no_keys_to_keys_without_a_pause() -> None:
    """Each node is restarted twice: with keys and `cluster-plaintext`, then with keys alone."""
    async with Cluster(nodes=2) as cluster, Workload(SEED) as workload:
        async with clients(cluster.members()) as redis:
            await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(500)])
        for node in cluster.members():
            workload.use(node.address)
        async with workload.running() as report:
            for number, plaintext in enumerate((True, True, False, False)):
                workload.avoid(cluster.member(number).address)
                assert await cluster.close(number)
                node = await cluster.add_member(cluster_keys=(OLD.text,), cluster_plaintext=plaintext)
                await cluster.wait_for_convergence(2, timeout_s=TIMEOUT_S)
                workload.use(node.address)
        assert report.failures == []
        await workload.check()
        assert await step(cluster.members()[0], "LIST") == [[OLD.fingerprint.encode()]] * 2
        with pytest.raises(JoinTimeout):
            await cluster.add_member(join_timeout_s=0.5)
        async with clients(cluster.members()) as redis:
            replies = await in_batches(redis[1], [("GET", f"old:{n}") for n in range(500)])
            assert replies == [b"%d" % n for n in range(500)]


async def test_a_key_is_shown_to_nobody() -> None:
    """Neither by CONFIG GET, nor by the slow log, nor where a configuration is printed."""
    settings: dict[str, Setting] = {"cluster_keys": (OLD.text,), "slowlog_log_slower_than_us": 0}
    async with Cluster(nodes=1, **settings) as cluster, clients(cluster.members()) as (redis,):
        node = cluster.member(0)
        assert await command(redis, "CONFIG GET", "cluster-keys") == {"cluster-keys": "(hidden)"}
        await command(redis, "CLUSTER KEYS", "INSTALL", NEW.text)
        shown = [repr(await command(redis, "CONFIG GET", "*")), repr(await command(redis, "SLOWLOG GET", "100"))]
        shown += [repr(node.config), str(await command(redis, "CLUSTER KEYS", "LIST"))]
        assert "SLOWLOG" in shown[1] or "CONFIG" in shown[1]
        for text in shown:
            assert OLD.text not in text
            assert NEW.text not in text


async def program(*words: str) -> str:
    """Run the program in this process; it must succeed. Give what it prints."""
    result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert result.exit_code == 0, f"{words}: {result.output}"
    return result.output


async def test_an_operator_starts_and_rotates_a_cluster(tmp_path: Path) -> None:
    """By the command line alone, with a password; the nodes' files hold the new key in the end, and no table a key."""
    password, keys, new = tmp_path / "password", [tmp_path / "a", tmp_path / "b"], tmp_path / "new"
    password.write_text("swordfish")
    for file in keys:
        file.touch(mode=0o600)
        file.write_text(OLD.text)
    new.write_text(await program("keys", "generate"))
    successor = Key.parse(new.read_text().strip())
    async with Processes() as processes:
        for file in keys:
            await processes.add(f"--cluster-keys-file={file}", f"--requirepass-file={password}")
        first, second = ("{}:{}".format(*server.address) for server in processes.servers)
        secret = f"--requirepass-file={password}"
        told = [await program("keys", "install", str(new), first, secret)]
        told.append(await program("keys", "use", successor.fingerprint, second, secret))

        async def settled() -> bool:
            told.append(await program("keys", "list", first, secret))
            return OLD.fingerprint not in [line.split()[4] for line in told[-1].splitlines()]

        await eventually(settled, "no connection rests on the old key", timeout_s=60.0)
        told.append(await program("keys", "remove", OLD.fingerprint, first, secret))
        assert all(line.split()[1:4] == ["done", successor.fingerprint, "-"] for line in told[-1].splitlines()[1:])
        told.append(await program("status", first, secret))
        assert "2 nodes" in told[-1]
    for text in told:
        assert not any(key.text in text for key in (OLD, successor))
    for file in keys:
        assert file.read_text().splitlines()[1:] == [successor.text]
        assert file.stat().st_mode & 0o777 == 0o600
