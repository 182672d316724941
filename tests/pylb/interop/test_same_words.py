"""Words of the rule language, each in one haproxy.cfg for both programs: maps and ACLs that rules change."""

from __future__ import annotations

import re
import socket
import ssl
import time

import pytest
from cryptography import x509
from haproxy_pair import Answer, Talk, running_pair
from same_cases import describe, get, judge

from pylb.net.certificates import self_signed

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    expose-experimental-directives

defaults
    mode http
    timeout connect 1s
    timeout client 3s
    timeout server 3s

frontend lists
    bind "127.0.0.1:${FE_lists}"
    http-request add-acl("${DIR}/blocked.lst") %[src] if { path /block }
    http-request del-acl("${DIR}/blocked.lst") %[src] if { path /unblock }
    http-request set-map("${DIR}/names.map") %[url_param(k)] %[url_param(v)] if { path /name }
    http-request set-map("${DIR}/names.map") fixed yes if { path /fixed }
    http-request del-map("${DIR}/names.map") %[url_param(k)] if { path /forget }
    http-request set-map("${DIR}/networks.map") %[url_param(k)] %[url_param(v)] if { path /network }
    http-request del-map("${DIR}/networks.map") %[url_param(k)] if { path /nonetwork }
    http-request set-map("${DIR}/numbers.map") %[url_param(k)] %[url_param(v)] if { path /number }
    http-request set-map("${DIR}/parts.map") %[url_param(k)] %[url_param(v)] if { path /part }
    http-request del-map("${DIR}/parts.map") %[url_param(k)] if { path /nopart }
    http-request add-acl("${DIR}/paths.lst") %[url_param(k)] if { path /path }
    http-request del-acl("${DIR}/paths.lst") %[url_param(k)] if { path /nopath }
    http-request set-map("${DIR}/nobody.map") a b
    http-request deny deny_status 429 if { src -f "${DIR}/blocked.lst" } !{ path /unblock }
    http-request deny deny_status 410 if { url_param(q) -m beg -f "${DIR}/paths.lst" /always }
    http-request return status 200 content-type text/plain lf-string "LOOKS" if !{ path /answer }
    default_backend app

frontend listed
    bind "127.0.0.1:${FE_listed}" ssl crt-list "${DIR}/../certs.list" alpn http/1.1
    http-request return status 200 content-type text/plain lf-string "%[ssl_fc_sni] %[ssl_fc_alpn]"

frontend strict
    bind "127.0.0.1:${FE_strict}" ssl crt "${DIR}/../one.pem" crt-list "${DIR}/../certs.list" strict-sni
    http-request return status 200 content-type text/plain lf-string "%[ssl_fc_sni] %[ssl_fc_alpn]"

frontend values
    bind "127.0.0.1:${FE_values}" name second
    bind "127.0.0.1:${FE_named}" name first
    option forwardfor
    log "127.0.0.1:${LOG}" local0
    log-format "client %ci:%[src_port] %[fc_src] so %[so_id] %[so_name]"
    http-request set-src req.hdr(x-real) if { req.hdr(x-real) -m found }
    http-request set-src-port req.hdr(x-port) if { req.hdr(x-port) -m found }
    http-request set-dst req.hdr(x-to) if { req.hdr(x-to) -m found }
    http-request set-dst-port req.hdr(x-to-port) if { req.hdr(x-to-port) -m found }
    http-request strict-mode on
    http-request set-tos 16
    http-request set-mark 0x10
    http-request set-header X-Values "VALUES" if !{ path /addresses }
    http-request set-header X-Addresses "%[src] %[dst] %[dst_port] %[fc_src] %[fc_dst]"
    http-request set-header X-Here "%[src_is_local] %[dst_is_local] %[fc_rcvd_proxy]"
    http-request deny deny_status 410 if { src 10.0.0.0/8 }
    http-response set-header X-Server "%[bc_src] %[bc_dst] %[bc_http_major] %[ssl_bc] %[cur_server_timeout]"
    http-response set-header X-Dead "%[be_server_timeout] %[be_tunnel_timeout] %[cur_tunnel_timeout]"
    default_backend timed

backend timed
    timeout tunnel 7s
    http-request set-timeout server 250ms if { path /short }
    http-request set-timeout server req.hdr(x-time) if { req.hdr(x-time) -m found }
    http-request set-timeout tunnel 1m if { path /tunnel }
    server a "127.0.0.1:${SRV_a}"

frontend buffered
    bind "127.0.0.1:${FE_buffered}"
    timeout http-request 300ms
    option http-buffer-request
    log "127.0.0.1:${LOG}" local0
    log-format "%ci:%cp %ST %ts %HU"
    http-request set-header X-Body "%[req.body_len] %[req.body_size] %[req.body_param(a)] %[req.body_param]"
    http-request set-header X-Start "%[req.body,bytes(0,20),hex]"
    http-request deny deny_status 410 if { req.body -m sub attack }
    http-request return status 200 content-type text/plain lf-string "got %[req.body_len]" if { path /return }
    use_backend nobody if { req.body_param(to) -m str nobody }
    default_backend app

backend nobody
    http-request return status 503 content-type text/plain string nobody

frontend pausing
    bind "127.0.0.1:${FE_pausing}"
    log "127.0.0.1:${LOG}" local0
    log-format "%ci:%cp %ST %ts %HU"
    http-request set-header X-Before "%[req.body_len]" if { path /before }
    http-request wait-for-body time 250ms at-least 4 if { path /four }
    http-request wait-for-body time 250ms if { path /all }
    http-request set-header X-Body "%[req.body]" if { path /all }
    default_backend pausing

backend pausing
    http-request wait-for-body time 250ms if { path /back }
    http-request set-header X-Back "%[req.body]" if { path /back }
    http-request deny if { path /back } { req.body -m beg no }
    server a "127.0.0.1:${SRV_a}"

frontend normal
    bind "127.0.0.1:${FE_normal}"
    http-request normalize-uri path-merge-slashes if { req.hdr(n) slashes }
    http-request normalize-uri path-strip-dot if { req.hdr(n) dot }
    http-request normalize-uri path-strip-dotdot full if { req.hdr(n) full }
    http-request normalize-uri percent-decode-unreserved strict if { req.hdr(n) decode-strict }
    http-request normalize-uri percent-to-uppercase strict if { req.hdr(n) upper-strict }
    http-request normalize-uri query-sort-by-name if { req.hdr(n) sort }
    http-request normalize-uri fragment-strip if { req.hdr(n) fragment }
    default_backend timed

# HAProxy 2.6 forgets what to do where a condition stands in the place of "full" or "strict".
frontend dotdot
    bind "127.0.0.1:${FE_dotdot}"
    http-request normalize-uri path-strip-dotdot
    default_backend timed
frontend decode
    bind "127.0.0.1:${FE_decode}"
    http-request normalize-uri percent-decode-unreserved
    default_backend timed
frontend upper
    bind "127.0.0.1:${FE_upper}"
    http-request normalize-uri percent-to-uppercase
    default_backend timed

listen both
    bind "127.0.0.1:${FE_both}"
    retries 2
    retry-on conn-failure 500 empty-response
    http-request set-timeout server 250ms if { path /short }
    http-request disable-l7-retry if METH_POST
    http-request set-header X-Seen yes
    http-request early-hint Link "<%[path].css>; rel=preload" if { path_beg /hint }
    http-request deny if { path /hint-and-deny }
    server a "127.0.0.1:${SRV_a}"

frontend learning
    bind "127.0.0.1:${FE_learning}"
    default_backend learning

backend learning
    balance roundrobin
    stick-table type string len 20 size 1k expire 1m
    stick match url_param(id)
    stick store-response res.cook(SID)
    stick store-response res.hdr(x-second)
    stick store-response res.hdr(x-other) if { status 201 }
    http-response del-header set-cookie
    server a "127.0.0.1:${SRV_a}"
    server b "127.0.0.1:${SRV_b}"

frontend unstuck
    bind "127.0.0.1:${FE_unstuck}"
    default_backend unstuck

backend unstuck
    balance roundrobin
    stick-table type string len 20 size 1k expire 1m
    stick on url_param(id)
    server a "127.0.0.1:${SRV_a}" non-stick
    server b "127.0.0.1:${SRV_b}"

backend app
    http-response set-map("${DIR}/names.map") answered "%[status] %[res.hdr(x-origin)]"
    http-response add-acl("${DIR}/paths.lst") /from-response
    server a "127.0.0.1:${SRV_a}"
"""

LOOKS = ("map({}/names.map,-)", "map_beg({}/names.map,-)", "map_ip({}/networks.map,-)", "map_sub({}/parts.map,-)",
         "map_str_int({}/numbers.map,-1)")  # fmt: skip
CONFIG = CONFIG.replace("LOOKS", " ".join(f"%[url_param(q),{look.format('${DIR}')}]" for look in LOOKS))

VALUES = ("base32", "base32+src,hex", "url32", "url32+src,hex", "base,sdbm(1)", "cookie(SID)", "fe_client_timeout",
          "fc_rtt,bool", "fc_rtt(us),bool", "fc_lost", "fc_retrans", "so_id", "so_name")  # fmt: skip
CONFIG = CONFIG.replace("VALUES", "|".join(f"%[{value}]" for value in VALUES))

FILES = {
    "blocked.lst": "10.0.0.0/8\n",
    "names.map": "one 1\ntwo 2\n",
    "networks.map": "10.0.0.0/8 ten\n192.168.1.1 host\n",
    "numbers.map": "a 1\n",
    "parts.map": "bc first\nabc second\n",
    "paths.lst": "/old\n",
}

EDITS = {
    "an address is blocked and let in again": ("/?q=one", "/block", "/?q=one", "/block", "/unblock", "/?q=one"),
    "a value is given, changed and taken": (
        "/?q=k", "/name?k=k&v=1&q=k", "/?q=k", "/name?k=k&v=2", "/?q=k", "/?q=key", "/forget?k=k&q=k", "/?q=k",
        "/forget?k=k",
    ),
    "an entry of the file is changed and taken": ("/name?k=one&v=uno&q=one", "/forget?k=one&q=one", "/?q=two"),
    "constants": ("/fixed?q=fixed", "/forget?k=fixed&q=fixed"),
    "networks": (
        "/?q=10.1.2.3", "/network?k=10.1.0.0/16&v=more&q=10.1.2.3", "/?q=10.2.2.3", "/network?k=10.0.0.0/8&v=less",
        "/?q=10.2.2.3", "/nonetwork?k=10.1.0.0/16&q=10.1.2.3", "/network?k=2001:db8::/32&v=six&q=2001:db8::1",
        "/network?k=11.1.1.1&v=x&q=11.1.1.1", "/nonetwork?k=11.1.1.1&q=11.1.1.1",
        "/nonetwork?k=192.168.1.1&q=192.168.1.1",
    ),
    "what is no network": ("/network?k=nonsense&v=x&q=10.9.9.9", "/?q=10.9.9.9"),
    "numbers": ("/number?k=b&v=7&q=b", "/number?k=b&v=8&q=b", "/?q=a"),
    "tried in their order": (
        "/?q=xabcx", "/part?k=a&v=third&q=xabcx", "/?q=a", "/part?k=bc&v=FIRST&q=xabcx", "/nopart?k=bc&q=xabcx",
        "/part?k=bc&v=last&q=xabcx", "/?q=xbcx",
    ),
    "patterns by their beginning": (
        "/?q=/old/a", "/path?k=/new&q=/new/a", "/?q=/newer", "/nopath?k=/old&q=/old", "/?q=/always",
        "/nopath?k=/always", "/?q=/always",
    ),
    "an empty key": ("/name?k=&v=x", "/?q="),
    "what a response says": ("/answer", "/?q=answered", "/?q=/from-response/x"),
}  # fmt: skip


CERTIFICATES = {
    "one": ["one.lab", "www.one.lab"], "two": ["two.lab"], "wild": ["wild.lab"], "alpn": ["alpn.lab"],
    "own": ["own.lab", "*.own.lab"], "out": ["out.lab"],
}  # fmt: skip
CERTS = """\
DIR/one.pem !*
# by other names than they have
DIR/two.pem two.example three.example
DIR/wild.pem *.wild.example !not.wild.example
DIR/own.pem
DIR/alpn.pem [alpn http/1.0] alpn.lab exact.wild.example
DIR/out.pem !www.out.lab
"""
HOSTS = (
    None, "one.lab", "www.one.lab", "two.lab", "two.example", "THREE.example", "a.wild.example", "not.wild.example",
    "exact.wild.example", "a.b.wild.example", "wild.lab", "own.lab", "x.own.lab", "alpn.lab", "out.lab", "www.out.lab",
    "nothing.example",
)  # fmt: skip


def answer(*fields: str, status: str = "200 OK") -> Answer:
    head = "".join(f"{field}\r\n" for field in fields)
    return Answer(f"HTTP/1.1 {status}\r\n{head}Content-Length: 2\r\n\r\nok".encode())


ANSWERS = {
    "session": answer("Set-Cookie: SID=one; path=/", "X-Second: two"),
    "second": answer("X-Second: three", "X-Other: four", status="201 Created"),
    "other": answer("X-Other: five", status="201 Created"),
    "neither": answer("X-Other: six"),
    "500": answer(status="500 Internal Server Error"),
    "nothing": Answer(b"", "close"),
    "late": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", pause=0.5),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("words")
    for name in ("haproxy", "pylb"):
        (directory / name).mkdir()
        for file, text in FILES.items():
            (directory / name / file).write_text(text)
    for name, covers in CERTIFICATES.items():
        (directory / f"{name}.pem").write_bytes(self_signed(covers))
    (directory / "certs.list").write_text(CERTS.replace("DIR", str(directory)))
    with running_pair(directory, CONFIG, ANSWERS) as pair:
        yield pair


def asked(side, frontend, *requests):
    """The answers to requests over one connection, as both sides must give them."""
    with side.talk(frontend) as talk:
        answers = []
        for request in requests:
            talk.send(request)
            answers.append(talk.response())
    return describe(answers)


@pytest.mark.parametrize("paths", EDITS.values(), ids=EDITS)
def test_rules_change_maps_and_acls(pair, paths):
    judge(*pair.both(lambda side: asked(side, "lists", *map(get, paths))))


def test_a_server_that_is_not_to_be_stuck_to_is_not_stored(pair):
    """`non-stick`: a key that it has served stays free until another server serves it."""

    def scenario(side):
        with side.talk("unstuck") as talk:
            served = []
            for key in "xxxxyyyy":
                talk.send(get(f"/?id={key}"))
                talk.response()
                served.append(side.records()[-1].origin)
        return {"served": ["".join(sorted(set(served[at : at + 4][1:]))) for at in (0, 4)]}

    theirs, ours = pair.both(scenario)
    assert theirs == {"served": ["b", "b"]}
    judge(theirs, ours)


@pytest.mark.parametrize("do", ["session", "second", "other", "neither"])
def test_servers_are_learned_from_responses(pair, do):
    """Round robin alternates, a key that has been learned stays with its server."""

    def scenario(side):
        with side.talk("learning") as talk:
            talk.send(get("/", f"Do: {do}"))
            learned = describe([talk.response()])
            first = side.records()[-1].origin
            stays = {}
            for key in ("one", "two", "three", "four", "five", "six"):
                origins = []
                for _ in range(3):
                    talk.send(get(f"/?id={key}"))
                    talk.response()
                    origins.append(side.records()[-1].origin)
                stays[key] = set(origins) == {first}
        return learned | {"stays": stays}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("frontend", ["listed", "strict"])
def test_a_crt_list_chooses_the_certificate(pair, frontend, host):
    def scenario(side):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.0", "http/1.1"])
        raw = socket.create_connection(("127.0.0.1", side.ports[frontend]), 5)
        try:
            sock = context.wrap_socket(raw, server_hostname=host)
        except ssl.SSLError:
            return {"refused": True}
        with sock, Talk(0, sock=sock) as talk:
            certificate = x509.load_der_x509_certificate(sock.getpeercert(True))
            talk.send(get("/"))
            return describe([talk.response()]) | {"shown": certificate.subject.rfc4514_string()}

    judge(*pair.both(scenario))


REAL = {
    "plain": [get("/a?b=c", "Cookie: SID=x; b=c")], "long": [get("/" + "x" * 3000 + "?" + "y" * 300)],
    "learns": [get("/x", "Do: session")],
    "addresses": [get("/a", "X-Real: 1.2.3.4", "X-Port: 77"), get("/b"), get("/c", "X-To: 5.6.7.8", "X-To-Port: 99")],
    "another family": [get("/a", "X-Real: 2001:db8::1"), get("/b", "X-Real: ::ffff:1.2.3.4")],
    "no address": [get("/a", "X-Real: nonsense", "X-Port: x", "X-To: ")],
    "an address that is denied": [get("/a", "X-Real: 10.1.2.3"), get("/a")],
    "many": [get("/a", f"X-Real: 1.1.1.{number}") for number in range(3)],
    "a time of its own": [get("/short", "Do: late")], "by a header": [get("/a", "Do: late", "X-Time: 200")],
    "no time": [get("/a", "Do: late", "X-Time: none")], "a tunnel's time": [get("/tunnel")],
}  # fmt: skip


@pytest.mark.parametrize(("frontend", "name"), [("named", "plain"), *(("values", name) for name in REAL)])
def test_what_is_known_of_connections(pair, frontend, name):
    requests = REAL[name]

    def scenario(side):
        seen = asked(side, frontend, *requests)
        seen["backend"] = [record.seen for record in side.records()]
        seen["status"] = [status for status, _ in seen["status"]]
        seen["log"] = [re.sub(r":\d+ ", ":port ", line) for line in side.logged(len(requests))]
        ports = str(side.ports[frontend]), str(side.origins["a"].port)
        return {key: _without_ports(str(value), ports) for key, value in seen.items()}

    judge(*pair.both(scenario))


def _without_ports(text: str, ports: tuple[str, ...]) -> str:
    """A side's own ports."""
    for port in ports:
        text = text.replace(port, "PORT")
    return text


def post(path: str, *fields: str, body: bytes | None = None, length: int | None = None) -> bytes:
    size = length if length is not None else len(body or b"")
    return get(path, f"Content-Length: {size}", *fields, method="POST") + (body or b"")


CHUNKED = get("/", "Transfer-Encoding: chunked", method="POST")
BODIES = {
    "whole": [post("/", body=b"a=1&b=2")], "in pieces": [post("/", length=7), b"a=1", b"&b=2"],
    "empty": [post("/")], "none": [get("/")], "no form": [post("/", body=b"&=x&a")],
    "refused by what comes late": [post("/", length=12), b"an att", b"ack..."],
    "chunks": [CHUNKED, b"3\r\na=1\r\n", b"4\r\n&b=2\r\n0\r\n\r\n"],
    "chunks with a trailer": [CHUNKED, b"3\r\na=1\r\n0\r\n", b"X-T: 1\r\n\r\n"],
    "answered": [post("/return", length=5), b"hello"], "sent on by it": [post("/", length=9), b"to=no", b"body"],
    "more than a buffer": [post("/", length=100_000), *[b"x" * 10_000] * 10],
    "too slow": [post("/", length=100), b"x" * 50], "too slow chunks": [CHUNKED, b"3\r\na=1\r\n"],
    "bad chunks": [CHUNKED, b"x\r\na=1\r\n"],
    "expected": [post("/", "Expect: 100-continue", length=5), b"hello"],
}  # fmt: skip
PAUSES = {
    "enough": [post("/four", length=10), b"abcd", b"efghij"], "not enough": [post("/four", length=10), b"abc"],
    "all": [post("/all", length=6), b"abc", b"def"], "not all": [post("/all", length=6), b"abc"],
    "no pause": [post("/", length=6), b"abc", b"def"], "before": [post("/before", body=b"abc")],
    "in a backend": [post("/back", length=6), b"abc", b"def"],
    "refused there": [post("/back", length=6), b"not", b"def"],
}  # fmt: skip
CASES = [("buffered", name, pieces) for name, pieces in BODIES.items()]
CASES += [("pausing", name, pieces) for name, pieces in PAUSES.items()]


@pytest.mark.parametrize(("frontend", "name", "pieces"), CASES, ids=[f"{case[0]}, {case[1]}" for case in CASES])
def test_rules_wait_for_bodies(pair, frontend, name, pieces):
    def scenario(side):
        with side.talk(frontend) as talk:
            for piece in pieces:
                talk.send(piece)
                time.sleep(0.02)
            answer = talk.response("POST")
            seen = describe([answer])
            seen["status"] = [status if isinstance(status, str) else status[0] for status in seen["status"]]
            log = side.logged(1, client=talk.address)
            whole = not isinstance(answer, str) and answer.status < 300
            seen["kept"] = talk.kept() if whole else None
        seen["backend"] = [record.seen for record in side.records()]
        seen["log"] = [line.partition(" ")[2] for line in log]
        if name == "more than a buffer":  # HAProxy counts its own form of the head, pylb the head as it came
            seen["backend"] = [re.sub(r"'15\d\d\d 100000", "'15xxx 100000", str(record)) for record in seen["backend"]]
        return seen

    judge(*pair.both(scenario))


PATHS = {
    "slashes": ("/", "//", "/foo//bar", "///a////b?x=//", "/a/"),
    "dot": ("/.", "/./bar/", "/a/./a", "/.well-known/", "/a/.", "/./.", "/a/./?b=./c", "/a/..", "/.../."),
    "dotdot": ("/foo/../", "/foo/../bar/", "/foo/bar/../", "/../bar/", "/bar/../../", "/foo//../", "/foo/%2E%2E/",
               "/..", "/foo/..", "/foo/bar/..", "/a/../../..", "/a/b/../../../c?x=../y", "/...", "/a/.../.."),
    "decode": ("/%61dmin", "/foo%3Fbar=baz", "/%%36%36", "/%ZZ", "/%7e%2D%5f%2e?%41=%42", "/%6"),
    "upper": ("/%6f", "/%zz", "/a%2f%2F?b=%c3%bc", "/%"),
    "sort": ("/?c=3&a=1&b=2", "/?aaa=3&a=1&aa=2", "/?a=3&b=4&a=1&b=5&a=2", "/", "/?", "/?b&a&=x&&c", "/?a=b=c&A"),
    "fragment": ("/a?b=c",),
}  # fmt: skip
PATHS |= {"full": PATHS["dotdot"], "decode-strict": PATHS["decode"], "upper-strict": PATHS["upper"]}


@pytest.mark.parametrize("name", PATHS)
def test_uris_become_normal(pair, name):
    def scenario(side):
        seen = {}
        for path in PATHS[name]:
            with side.talk(name if name in side.ports else "normal") as talk:
                talk.send(get(path, f"N: {name}"))
                answer = talk.response()
                seen[path] = answer if isinstance(answer, str) else (answer.status, answer.body[:9])
        return seen | {"lines": [record.line for record in side.records()]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("request_", ["plain", "late", "500", "posted 500", "nothing", "posted nothing"])
def test_a_listen_s_rules_about_its_servers(pair, request_):
    do = request_.rpartition(" ")[2]
    path, method = ("/short", "GET") if do == "late" else ("/", "POST" if "posted" in request_ else "GET")

    def scenario(side):
        with side.talk("both") as talk:
            talk.send(get(path, f"Do: {do}", "Content-Length: 0", method=method))
            answer = talk.response(method)
        status = answer if isinstance(answer, str) else answer.status
        return {"status": status, "tries": [(record.line, record.get("x-seen")) for record in side.records()]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("path", ["/hint", "/hint-and-deny", "/hint%0d%0aX:1", "/none"])
def test_hints_come_before_answers(pair, path):
    def scenario(side):
        with side.talk("both") as talk:
            talk.send(get(path))
            hint = talk.reader.until(b"\r\n\r\n") if path != "/none" else b""
            return describe([talk.response()]) | {"hint": hint}

    judge(*pair.both(scenario))
