"""Addresses that do not leave the machine, and hosts in addresses."""

import pytest

from respcache.addresses import host_in, is_loopback


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("::", False),
        ("0.0.0.0", False),  # noqa: S104 # nothing is bound here
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(host: str, local: bool) -> None:  # noqa: FBT001 # one column of a table
    """A wildcard, a name that anybody may resolve, and all other addresses are not."""
    assert is_loopback(host) == local


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.0.0.1:6379", "10.0.0.1"), ("[::1]:6379", "[::1]"), ("/run/cache.sock", "/run/cache.sock"), ("", "")],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    """Whatever it connects."""
    assert host_in(address) == host
