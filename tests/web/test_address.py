"""URLs are read once and strictly; public is what is public in every reading; private hosts are exact names."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pilotage.errors import ConfigError
from pilotage.web.address import PrivateHosts, Refused, is_private_host, is_public, read_url, shown


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://Example.ORG", "https://example.org/"),
        ("HTTP://example.org:80/a?b=c#d", "http://example.org/a?b=c"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org./a", "https://example.org/a"),
        ("https://ko.wikipedia.org/wiki/한국", "https://ko.wikipedia.org/wiki/%ED%95%9C%EA%B5%AD"),
        ("https://example.org/a%20b?q=ü&r[]=1", "https://example.org/a%20b?q=%C3%BC&r[]=1"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://日本。example/", "https://xn--wgv71a.example/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:4700:0::1111]:8080/", "http://[2606:4700:4700::1111]:8080/"),
        ("https://example.org/@name/post", "https://example.org/@name/post"),
    ],
)
def test_a_url_is_read_into_one_plain_form(url: str, read: str) -> None:
    assert read_url(url).url == read
    assert read_url(read).url == read


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org/", "is not an http or https URL"),
        ("file:///etc/passwd", "is not an http or https URL"),
        ("//example.org/", "is not an http or https URL"),
        ("example.org", "is not an http or https URL"),
        ("", "is not an http or https URL"),
        ("http:///path", "has no proper host"),
        ("http:example.org", "has no proper host"),
        ("http://a..b/", "has no proper host"),
        ("http://./", "has no proper host"),
        ("http://-a.example/", "has no proper host"),
        ("http://127.0.0.1%2f.example/", "has no proper host"),
        ("http://exa%6dple.org/", "has no proper host"),
        ("http://[fe80::1%25eth0]/", "has no proper host"),
        ("http://[::1]evil.example/", "is not a URL|has no proper host"),
        ("http://[127.0.0.1]/", "is not a URL|has an IPv6 address that is none"),
        ("http://[::1/", "is not a URL"),
        ("http://☃.example/", "has no proper host"),
        (f"http://{'a' * 64}.example/", "has no proper host"),
        ("http://example.org:0/", "asks for port 0"),
        ("http://example.org:65536/", "asks for port 65536"),
        ("http://example.org:8o/", "has no proper host"),
        ("http://example.org:８０/", "is not a URL|has no proper host"),
        ("http://user@example.org/", "carries a user name or a password"),
        ("http://:@example.org/", "carries a user name or a password"),
        ("http://example.org\\@evil.example/", "holds a space, a backslash"),
        ("http://example.org/a b", "holds a space"),
        (" http://example.org/", "holds a space"),
        ("http://example.org/\r\nHost: evil", "holds a space"),
        ("http://exam\tple.org/", "holds a space"),
        ("http://example.org/\x00", "control character"),
        ("http://example.org/\udcff", "control character"),
        ("http://example.org/\u202egpj", "control character"),
        ("http://example.org/" + "a" * 8192, "is 8,211 characters long, more than 8,192"),
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(url: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_url(url)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0x7f.0.0.1",
     "127.0.0.0x1", "8.8", "134744072", "256.0.0.1", "1.2.3.4.5", "127.0.0.01", "a.1", "１２７.１", "0x"],
)  # fmt: skip
def test_other_forms_of_an_ipv4_address_are_refused_whatever_they_mean(host: str) -> None:
    with pytest.raises(Refused, match="in another form than four decimal numbers"):
        read_url(f"http://{host}/")


@pytest.mark.parametrize("host", ["１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127.0.0.1.", "①②⑦.0.0.1"])
def test_an_address_in_other_characters_is_that_address(host: str) -> None:
    assert read_url(f"http://{host}/").host == "127.0.0.1"


@pytest.mark.parametrize(
    "ip", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00::1"]
)
def test_addresses_of_the_open_internet_are_public(ip: str) -> None:
    assert is_public(ip_address(ip))


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
     "192.88.99.1", "168.63.129.16", "224.0.0.1", "224.0.1.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
     "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
     "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2001:10::1",
     "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
     "2606:4700::1%1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"],
)  # fmt: skip
def test_addresses_that_are_private_reserved_or_hold_another_are_not_public(ip: str) -> None:
    assert not is_public(ip_address(ip))


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "100.64.0.1", "fd12::1", "::1", "8.8.8.8", "::ffff:10.0.0.1"])
def test_a_named_host_may_have_a_private_address(ip: str) -> None:
    assert is_private_host(ip_address(ip))


@pytest.mark.parametrize(
    "ip", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::", "224.0.0.1"]
)
def test_a_named_host_may_not_have_the_address_of_metadata_or_of_many(ip: str) -> None:
    assert not is_private_host(ip_address(ip))


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("localhost:8000", "http://localhost:8000/", "http://localhost:8001/"),
        ("LocalHost.:8000", "https://localhost.:8000/x", "http://localhost/"),
        ("10.1.2.3", "http://10.1.2.3:9/", "http://10.1.2.4:9/"),
        ("intranet.example:8443", "https://intranet.example:8443/", "https://x.intranet.example:8443/"),
        ("intranet.example:443", "https://intranet.example/", "http://intranet.example/"),
        ("[::1]:8000", "http://[::1]:8000/", "http://[::1]/"),
        ("::1", "http://[0:0::1]:1/", "http://[::2]/"),
        ("bücher.example", "http://xn--bcher-kva.example/", "http://bucher.example/"),
    ],
)
def test_a_private_host_is_exactly_what_is_named(entry: str, inside: str, outside: str) -> None:
    hosts = PrivateHosts.read([entry])
    assert read_url(inside) in hosts
    assert read_url(outside) not in hosts


@pytest.mark.parametrize(
    "entry", ["", "http://localhost", "10.0.0.0/8", "*.example", "a:b", "a@b", "127.1", "a b", ":80"]
)
def test_a_private_host_that_is_none_is_named_with_its_key(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"policy\.allow_private_hosts"):
        PrivateHosts.read([entry])


def test_a_sentence_shows_no_password_no_control_character_and_no_endless_url() -> None:
    assert shown("http://user:secret@host/a") == "http://host/a"
    assert shown("http://user:sec/ret@host/a") == "http://host/a"
    assert shown("http:user:secret@host") == "http://host"
    assert shown("http://host/\x1b[31m\n") == "http://host/?[31m?"
    assert len(shown("http://host/" + "a" * 9000)) == 301
