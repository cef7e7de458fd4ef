"""Where a node's keys come from, and where they go."""

import os
from pathlib import Path

import pytest

from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.config import ClusterConfig, Config, ServerConfig
from respcache.errors import ConfigError
from respcache.net.keys import keep, load_ring

OLD, NEW = (Key.of(bytes([number]) * 32) for number in (1, 2))
EVERYWHERE = "0.0.0.0"  # noqa: S104 # nothing is bound here


def config(
    *, bind: str = "127.0.0.1", keys: tuple[str, ...] = (), file: object = "", plaintext: bool = False
) -> Config:
    """Configure a node."""
    return Config(
        server=ServerConfig(bind=bind),
        cluster=ClusterConfig(keys=keys, keys_file=str(file), plaintext=plaintext),
    )


def written(path: Path, content: str) -> Path:
    """Write a file that nobody else may read."""
    path.write_text(content)
    path.chmod(0o600)
    return path


def test_keys_come_from_a_file_or_from_the_configuration(tmp_path: Path) -> None:
    """The one to seal with first; a file may have comments and empty lines."""
    file = written(tmp_path / "keys", f"# two of them\n\n{NEW.text}\r\n  {OLD.text}\n\n")
    assert load_ring(config(file=file)) == Keyring((NEW, OLD))
    assert load_ring(config(keys=(OLD.text, NEW.text))) == Keyring((OLD, NEW))
    assert load_ring(config()) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "there are 0 keys"),
        ("topsecret", "key 1 of 1: must be 32 bytes"),
        ("\xff", "it is no text"),
        (None, "No such"),
    ],
)
def test_a_file_without_good_keys_is_named(tmp_path: Path, content: str | None, told: str) -> None:
    """And nothing of what is in it is repeated."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=f"cluster-keys-file = '{file}': .*{told}") as caught:
        load_ring(config(file=file))
    assert "topsecret" not in str(caught.value)


def test_keys_cannot_be_in_two_places(tmp_path: Path) -> None:
    """Nobody could tell which of them counts."""
    with pytest.raises(ConfigError, match="both"):
        load_ring(config(file=written(tmp_path / "keys", OLD.text), keys=(OLD.text,)))


def test_a_file_that_others_may_read_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is taken all the same."""
    file = written(tmp_path / "keys", OLD.text)
    load_ring(config(file=file))
    assert caplog.messages == []
    file.chmod(0o640)
    load_ring(config(file=file))
    assert len(caplog.messages) == 1
    assert "can be read by other users" in caplog.messages[0]
    assert OLD.text not in caplog.text


def test_plaintext_beyond_this_machine_has_to_be_allowed(caplog: pytest.LogCaptureFixture) -> None:
    """The error names both options; where it is allowed, a line says what that means."""
    with pytest.raises(ConfigError, match=r"cluster-keys-file .* cluster-plaintext = yes"):
        load_ring(config(bind=EVERYWHERE))
    assert caplog.messages == []
    assert load_ring(config(bind=EVERYWHERE, plaintext=True)) is None
    assert load_ring(config(bind=EVERYWHERE, keys=(OLD.text,))) is not None
    assert load_ring(config(bind="::1")) is None
    assert ["without encryption" in message for message in caplog.messages] == [True]
    load_ring(config(bind=EVERYWHERE, keys=(OLD.text,), plaintext=True))
    assert "nodes without keys are let in" in caplog.messages[1]


def test_a_ring_is_kept_for_the_next_start(tmp_path: Path) -> None:
    """Whole, readable by its owner alone, and behind the link if the file is one."""
    file, link = written(tmp_path / "keys", OLD.text), tmp_path / "link"
    link.symlink_to(file)
    assert keep(str(link), Keyring((NEW, OLD))) == ""
    assert load_ring(config(file=link)) == Keyring((NEW, OLD))
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_a_ring_that_cannot_be_kept_is_told_of(tmp_path: Path) -> None:
    """What was there before stays, and nothing is left behind."""
    blocked = tmp_path / "keys"
    (blocked / "in the way").mkdir(parents=True)
    assert keep(str(blocked), Keyring((NEW,))) == f"{blocked}: {os.strerror(21)}"
    assert keep(str(tmp_path / "nowhere" / "keys"), Keyring((NEW,))).endswith("No such file or directory")
    assert sorted(tmp_path.iterdir()) == [blocked]
