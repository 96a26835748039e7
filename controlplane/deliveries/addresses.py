"""Which addresses a notice may be sent to: the public ones, so that nobody makes us call what only we can reach.

Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses; RFC 6052 (NAT64), RFC 5214 (ISATAP). The
library's own tables are asked as well, but they are as old as the Python that runs.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_V4 = [
    (ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "a provider's own"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own"),  # Azure's host, a global address
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
_GLOBAL_V6 = IPv6Network("2000::/3")
_V6 = [
    (ip_network(network), words)
    for network, words in (
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in disguise"),
        ("64:ff9b:1::/48", "a local translation"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a 6to4 tunnel"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def forbidden(address: str) -> str:
    """What the address is, in words, when nothing may be sent to it; "" when it may.

    Tunnels and IPv4 addresses in IPv6's clothes are refused whatever is inside: no honest receiver is reached so. Only
    NAT64 is looked into, because on a network without IPv4 every receiver is reached so.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    return _of_v4(ip) if isinstance(ip, IPv4Address) else _of_v6(ip)


def _of_v4(ip: IPv4Address) -> str:
    for network, words in _V4:
        if ip in network:
            return words
    return "" if ip.is_global else "not public"


def _of_v6(ip: IPv6Address) -> str:
    if ip in _NAT64:
        return _of_v4(IPv4Address(ip.packed[12:]))
    for network, words in _V6:
        if ip in network:
            return words
    if ip.packed[8:12] in _ISATAP:
        return "an ISATAP tunnel"
    return "" if ip in _GLOBAL_V6 and ip.is_global else "not public"
