"""Where nothing may be sent to, address by address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.deliveries.addresses import forbidden

# By hand from the registries of IANA: what is not globally reachable, or reaches somebody else than it seems.
NEVER = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "4000::/2",
    "8000::/2",
    "e000::/4",
]
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)
GLOBAL_V6 = st.integers(0, 2**125 - 1).map(lambda number: IPv6Address((1 << 125) + number))


@pytest.mark.parametrize("text", NEVER)
def test_a_network_is_refused_from_its_first_to_its_last_address(text: str) -> None:
    network = ip_network(text)
    for address in {network[0], network[-1], network[network.num_addresses // 2]}:
        assert forbidden(str(address)), address


@pytest.mark.parametrize("text", NEVER)
def test_and_not_its_neighbours(text: str) -> None:
    network = ip_network(text)
    networks = [each for each in map(ip_network, NEVER) if each.version == network.version]
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if not 0 <= number < 2**network.max_prefixlen:
            continue
        neighbour = type(network[0])(number)
        public = neighbour.version == 4 or neighbour in ip_network("2000::/3")
        if public and not any(neighbour in each for each in networks):
            assert forbidden(str(neighbour)) == "", neighbour


@given(V4 | V6 | GLOBAL_V6)
def test_what_python_knows_to_be_somewhere_special_is_refused(ip: IPv4Address | IPv6Address) -> None:
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved
    if special or not ip.is_global or ip.is_unspecified:
        assert forbidden(str(ip)) or ip in ip_network("64:ff9b::/96")


@given(V4)
def test_an_ipv4_address_in_other_clothes_is_no_way_around(ip: IPv4Address) -> None:
    number = int(ip)
    dressed = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "6to4": 0x2002 << 112 | number << 80,
        "teredo client": 0x20010000 << 96 | (~number & 0xFFFFFFFF),
        "teredo server": 0x20010000 << 96 | number << 64,
        "isatap": 0x2A00 << 112 | 0x5EFE << 32 | number,
        "isatap, global": 0x2A00 << 112 | 0x02005EFE << 32 | number,
        "local nat64": 0x64FF9B0001 << 80 | number,
    }
    for words, value in dressed.items():
        assert forbidden(str(IPv6Address(value))), words
    assert forbidden(str(IPv6Address(0x64FF9B << 96 | number))) == forbidden(str(ip))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("169.254.169.254", "link-local"),
        ("192.0.0.8", "reserved"),
        ("168.63.129.16", "a cloud's own"),
        ("::1", "loopback"),
        ("::ffff:10.0.0.1", "an IPv4 address in disguise"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "private"),
        ("2002:7f00:1::", "a 6to4 tunnel"),
        ("localhost", "no address"),
        ("0x7f.1", "no address"),
        ("2130706433", "no address"),
        ("", "no address"),
    ],
)
def test_why_is_said_in_words(address: str, words: str) -> None:
    assert forbidden(address) == words


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_what_is_public_is_not_refused(address: str) -> None:
    assert forbidden(address) == "" and ip_address(address)
