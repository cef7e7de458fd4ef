"""Settings as flags."""

import re

import pytest
from click.testing import CliRunner

from respcache.cli import main
from respcache.cli.flags import field_docs, given
from respcache.options import FILE_SUFFIX, OPTIONS, SECTIONS
from respcache.version import __version__


def test_every_setting_has_a_docstring() -> None:
    """The help of a flag is what the configuration says of its field."""
    for option in OPTIONS:
        assert field_docs(SECTIONS[option.section])[option.field].endswith("."), option.name


def test_every_setting_is_a_flag_of_serve() -> None:
    """With its help, and its default where it has one; a secret also by file."""
    told = CliRunner().invoke(main, ["serve", "--help"], terminal_width=10_000).output
    for option in OPTIONS:
        assert re.search(rf"^  --{re.escape(option.name)} ", told, re.MULTILINE), option.name
    assert "--config FILE" in told
    assert f"--requirepass{FILE_SUFFIX} PATH" in told
    assert re.search(r"--redirect auto\|always\|never +Who gets MOVED .* auto: .* always: .* never: ", told)
    assert "--client-query-buffer-limit SIZE" in told
    assert "--shutdown-timeout SECONDS" in told
    assert "--slowlog-log-slower-than MICROSECONDS" in told
    assert "File with what --requirepass would be given." in told
    assert re.search(r"--environment local\|lan\|wan +Profile of the failure detector.  \[default: lan\]", told)


def test_only_given_flags_count() -> None:
    """The others must not outweigh the file and the environment."""
    parameters = {"port": "1", "replica_count": None, "requirepass_file": "x", "unrelated": "y"}
    assert given(parameters) == {"port": "1", "requirepass-file": "x"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "x"], r"server\.port = 'x' \(flag --port\): argument couldn't be parsed into an integer"),
        (["--replica-cont", "2"], "No such option.*--replica-cont"),
        (["--config", "/nowhere.toml"], "does not exist"),
    ],
)
def test_a_mistake_ends_in_one_line(arguments: list[str], told: str) -> None:
    """Without a trace, and before anything is started."""
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code != 0
    assert re.search(told, result.output)
    assert "Traceback" not in result.output


def test_the_version_is_the_packages() -> None:
    """`respcache --version`."""
    assert CliRunner().invoke(main, ["--version"]).output == f"respcache, version {__version__}\n"
