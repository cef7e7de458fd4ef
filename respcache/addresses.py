"""What an address says about where it leads."""

import ipaddress


def host_in(address: str) -> str:
    """Return the host of `host:port`; all of it where there is no port, as of a Unix socket."""
    host, colon, _ = address.rpartition(":")
    return host if colon else address


def is_loopback(host: str) -> bool:
    """Tell whether a host name or a literal address, IPv6 zone and mapped IPv4 included, is this machine alone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
