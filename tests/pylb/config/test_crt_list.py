"""Lines of crt-list files: certificates, settings, names; every mistake with its place and the way out."""

from __future__ import annotations

import pytest

from pylb.config.haproxy.crt_list import Listed, read_crt_list
from pylb.config.model import BindTls
from pylb.config.words import Report

BIND = BindTls(("/default.pem",), alpn=("http/1.1",), verify="optional", ca_file="ca.pem")


def read(text: str) -> tuple[list[Listed], list[str]]:
    report = Report()
    listed = list(read_crt_list(text.encode(), "certs.list", BIND, report))
    return listed, [str(finding) for finding in report.findings]


def test_names_and_wildcards_take_the_place_of_what_a_certificate_covers():
    listed, said = read("# comment\n\na.pem\nb.pem !*\nc.pem www.X.example *.y.example !no.y.example\nd.pem * !z\n")
    assert said == []
    assert [(each.certificate, each.names, each.excluded) for each in listed] == [
        ("a.pem", None, frozenset()),
        ("b.pem", (), frozenset()),
        ("c.pem", ("www.x.example", "*.y.example"), frozenset({"no.y.example"})),
        ("d.pem", (), frozenset({"z"})),
    ]
    assert all(each.settings == BIND for each in listed)
    assert [each.at.line for each in listed] == [3, 4, 5, 6]


def test_settings_replace_those_of_the_bind():
    listed, said = read(
        "a.pem [alpn h2,http/1.1 ca-file other.pem ciphers AES256 verify optional] a.example\nb.pem [] b\n"
    )
    assert said == []
    assert (listed[0].settings.alpn, listed[0].settings.ca_file) == (("h2", "http/1.1"), "other.pem")
    assert (listed[0].settings.ciphers, listed[0].names) == ("AES256", ("a.example",))
    assert listed[1].settings == BIND and listed[1].names == ("b",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "[alpn h2] a.pem",
            "1:1: error: a line begins with the certificate's file (FILE [alpn http/1.1] www.example.com)",
        ),
        ("a.pem [alpn h2", '1:7: error: "[" is not closed (write ] behind the settings)'),
        ("a.pem a [alpn h2]", "1:9: error: settings stand once, behind the file's name"),
        ("a.pem [alpm h2]", '1:8: error: unknown setting of a crt-list "alpm" (did you mean "alpn"?)'),
        ("a.pem [alpn]", '1:8: error: "alpn" needs protocols'),
        ("a.pem [verify required]", '1:8: error: "verify" cannot differ from the bind line\'s (write it there'),
        ("a.pem [ssl-min-ver TLSv1.3]", '1:8: error: "ssl-min-ver" cannot differ from the bind line\'s'),
        ("a.pem [crl-file x.crl]", '1:8: error: "crl-file" needs one on the bind line, too (add crl-file there)'),
        ("a.pem [allow-0rtt]", '1:8: error: "allow-0rtt" is not supported by pylb (early data can be replayed)'),
    ],
)
def test_mistakes_have_their_place_and_way_out(line, message):
    listed, said = read(line)
    assert listed == []
    assert said and f"certs.list:{message}" in said[0], said


def test_what_has_no_effect_is_said():
    listed, said = read("a.pem [curves X25519 no-ca-names] a")
    assert len(listed) == 1 and len(said) == 2 and all("has no effect here" in each for each in said)
