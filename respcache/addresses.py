"""What an address says about where it leads."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host name or a literal address, IPv6 zone and mapped IPv4 included, is this machine alone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
