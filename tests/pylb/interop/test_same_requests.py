"""The same requests through HAProxy and pylb with one haproxy.cfg: what the client gets and what the server gets."""

from __future__ import annotations

import differences as differ
import pytest
from haproxy_pair import Answer, running_pair
from same_cases import Case, compare, get

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    log "127.0.0.1:${LOG}" local0

defaults
    mode http
    log global
    option httplog
    option http-keep-alive
    retries 1
    timeout connect 1s
    timeout client 3s
    timeout server 3s
    timeout http-request 2s
    timeout http-keep-alive 2s

frontend keep
    bind "127.0.0.1:${FE_keep}"
    default_backend app

frontend serverclose
    bind "127.0.0.1:${FE_serverclose}"
    option http-server-close
    default_backend app

frontend close
    bind "127.0.0.1:${FE_close}"
    option httpclose
    default_backend app

frontend backclose
    bind "127.0.0.1:${FE_backclose}"
    default_backend app_close

backend app
    server a "127.0.0.1:${SRV_a}"

backend app_close
    option httpclose
    server a "127.0.0.1:${SRV_a}"

frontend forward
    bind "127.0.0.1:${FE_forward}"
    option forwardfor
    default_backend app

frontend forward_except
    bind "127.0.0.1:${FE_forward_except}"
    option forwardfor except 127.0.0.0/8
    default_backend app

frontend forward_if_none
    bind "127.0.0.1:${FE_forward_if_none}"
    option forwardfor if-none header X-Client
    default_backend app

frontend forward_back
    bind "127.0.0.1:${FE_forward_back}"
    option forwardfor header X-Front
    default_backend app_forward

backend app_forward
    option forwardfor header X-Back
    server a "127.0.0.1:${SRV_a}"

frontend hosts
    bind "127.0.0.1:${FE_hosts}"
    acl whole hdr(host) -i www.example.com
    acl domain hdr_dom(host) -i rancher.example.com
    acl begins hdr_beg(host) -i api.
    acl ends hdr_end(host) -i .example.org
    acl pattern hdr_reg(host) ^v[0-9]+\.
    use_backend chosen_whole if whole
    use_backend chosen_domain if domain
    use_backend chosen_begins if begins
    use_backend chosen_ends if ends
    use_backend chosen_pattern if pattern
    use_backend chosen_named_%[req.hdr(x-name)] if { req.hdr(x-name) -m found }
    default_backend app

backend chosen_whole
    server whole "127.0.0.1:${SRV_whole}"
backend chosen_domain
    server domain "127.0.0.1:${SRV_domain}"
backend chosen_begins
    server begins "127.0.0.1:${SRV_begins}"
backend chosen_ends
    server ends "127.0.0.1:${SRV_ends}"
backend chosen_pattern
    server pattern "127.0.0.1:${SRV_pattern}"
backend chosen_named_one
    server one "127.0.0.1:${SRV_one}"

userlist people
    user alice insecure-password secret

frontend rules
    bind "127.0.0.1:${FE_rules}"
    monitor-uri /alive
    errorfile 403 "${DIR}/../403.http"
    http-request set-header X-Set "%[src] %[method] %[path]"
    http-request set-header X-Twice once
    http-request set-header X-Twice twice
    http-request add-header X-Added one
    http-request add-header X-Added two
    http-request del-header X-Secret
    http-request del-header X-Tmp- -m beg
    http-request replace-header X-Fix ^(a)(.*)$ \2\1
    http-request replace-value X-List b+ B
    http-request set-header X-Query "%[query] %[url_param(q)] %[cook(c)] %[req.hdr_cnt(x-many)]" if { path /samples }
    http-request set-header X-Case "%[path,lower] %[path,upper]"
    http-request set-header X-Part "%[path,field(2,/)] %[path,word(2,/)]" if { path_beg /Conv }
    http-request set-path /new%[path] if { path_beg /old }
    http-request set-query x=1&%[query] if { path /query }
    http-request set-uri /uri?u=%[path] if { path /setur }
    http-request replace-path (.*)/cut(.*) \1\2 if { path_beg /keep/cut }
    http-request set-method PUT if { path /put }
    http-request deny if { path /deny }
    http-request deny deny_status 429 if { path /toomany }
    http-request deny deny_status 404 content-type text/plain string "not %[path]" if { path /denytext }
    http-request return status 200 content-type text/plain string hello if { path /return }
    http-request return status 204 if { path /empty }
    http-request return status 201 content-type text/plain lf-string "%[src]" hdr X-Made "%[path]" if { path /format }
    http-request redirect location /there if { path /location }
    http-request redirect location /there code 301 if { path /moved }
    http-request redirect prefix https://secure.example.com if { path_beg /prefix }
    http-request redirect prefix https://secure.example.com drop-query code 308 if { path_beg /dropquery }
    http-request redirect scheme https if { path_beg /scheme }
    http-request redirect location /in set-cookie SEEN=1 if { path /setcookie }
    http-request redirect location /out clear-cookie SEEN= if { path /clearcookie }
    http-request redirect prefix / append-slash drop-query if { path /dir }
    http-request auth realm Private if { path_beg /private } !{ http_auth(people) }
    http-request allow if { path /allowed }
    http-request deny if { path /allowed }
    http-request set-var(txn.where) path
    http-response set-header X-Where "%[var(txn.where)]"
    http-response set-header X-Status "%[status]"
    http-response del-header X-Origin
    http-response add-header X-Seen one
    http-response replace-header X-Old ^.*$ new
    http-response set-status 418 reason "I am a pot" if { status 299 }
    http-response deny if { res.hdr(x-forbid) -m found }
    http-response return status 200 content-type text/plain string replaced if { status 298 }
    http-after-response set-header X-After yes
    redirect location /old-style if { path /oldredirect }
    use_backend nothing if { path /nobackend }
    use_backend errors if { path_beg /backerror }
    default_backend app

backend nothing

backend errors
    errorfile 503 "${DIR}/../503.http"
    server dead "127.0.0.1:${DEAD}"
"""


def text(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a length."""
    head = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n"
ANSWERS = {
    "204": Answer(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
    "304": Answer(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 10\r\n\r\n'),
    "404": Answer(text(b"gone", status=b"404 Not Found")),
    "500": Answer(text(b"oops", status=b"500 Internal Server Error")),
    "noreason": Answer(text(b"x", status=b"200 ")),
    "chunked": Answer(CHUNKED + b"\r\n"),
    "trailers": Answer(CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\n\r\n", 1) + b"X-Sum: 42\r\n\r\n"),
    "untilclose": Answer(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end", "close"),
    "old": Answer(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "close"),
    "oldkeep": Answer(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"),
    "close": Answer(text(b"bye", b"Connection: close"), "close"),
    "connection": Answer(text(b"x", b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=5")),
    "cookies": Answer(text(b"x", b"Set-Cookie: a=1", b"Set-Cookie: b=2; Path=/", b"Vary: A", b"Vary: B")),
    "hints": Answer([b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n", text(b"late")], pause=0.02),
    "hundred": Answer(b"HTTP/1.1 100 Continue\r\n\r\n" + text(b"after")),
    "early": Answer(text(b"no", status=b"413 Payload Too Large"), early=True),
    "earlyclose": Answer(text(b"no", b"Connection: close", status=b"413 Payload Too Large"), "close", early=True),
    "slow": Answer([b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 10\r\n\r\nhello", b"world"], pause=0.02),
    "empty": Answer(text(b"")),
    "299": Answer(text(b"x", status=b"299 Odd")),
    "298": Answer(text(b"x", status=b"298 Odd")),
    "forbid": Answer(text(b"x", b"X-Forbid: 1")),
    "oldheader": Answer(text(b"x", b"X-Old: old")),
    "obstext": Answer(text(b"x", b"X-Text: caf\xe9")),
    "big": Answer(text(b"0123456789" * 100_000)),
    "bigchunks": Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + b"4000\r\n" .join([b""] + [b"x" * 0x4000 + b"\r\n"] * 20) + b"0\r\n\r\n"),
    "head": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"),
}  # fmt: skip

POST = ("Content-Length: 5",)
CHUNKS = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"

METHODS = [
    Case("a GET", get("/a")),
    Case("a GET with a query", get("/a?b=c&d=%20")),
    Case("a query without path", get("/?")),
    Case("a HEAD", get("/a", "Do: head", method="HEAD"), methods=("HEAD",)),
    Case("a HEAD with the default answer", get("/a", method="HEAD"), methods=("HEAD",)),
    Case("an OPTIONS", get("/a", method="OPTIONS"), methods=("OPTIONS",)),
    Case("a DELETE", get("/a", method="DELETE"), methods=("DELETE",)),
    Case("a method of one's own", get("/a", method="FROB"), methods=("FROB",)),
    Case("a PUT with a length", get("/a", *POST, method="PUT") + b"hello", methods=("PUT",)),
    Case("a POST with a length", get("/a", *POST, method="POST") + b"hello", methods=("POST",)),
    Case("a POST without a body", get("/a", "Content-Length: 0", method="POST"), methods=("POST",)),
    Case("a POST without a length", get("/a", method="POST"), methods=("POST",)),
    Case("a POST in pieces", [get("/a", *POST, method="POST"), b"he", b"llo"], methods=("POST",)),
    Case("a GET with a body", get("/a", *POST) + b"hello"),
    Case("a chunked POST", get("/a", "Transfer-Encoding: chunked", method="POST") + CHUNKS, methods=("POST",)),
    Case("a chunked POST with trailers", get("/a", "Transfer-Encoding: chunked", method="POST")
         + CHUNKS[:-2] + b"X-T: 1\r\n\r\n", methods=("POST",)),
    Case("Transfer-Encoding in capitals", get("/a", "Transfer-Encoding: CHUNKED", method="POST") + CHUNKS),
    Case("Expect with a body that waits", [get("/a", *POST, "Expect: 100-continue", method="POST"), b"hello"]),
    Case("a large POST", get("/a", "Content-Length: 300000", method="POST") + b"x" * 300_000),
    Case("options of everything", get("*", method="OPTIONS")),
    Case("a request in pieces", [b"GE", b"T /a HTTP/1.1\r\nHo", b"st: x\r\n", b"\r\n"]),
    Case("a leading empty line", b"\r\n" + get("/a")),
    Case("many headers", get("/a", *[f"X-{n}: {n}" for n in range(60)])),
    Case("headers with odd spaces", get("/a", "X-A:\t a b \t", "X-B:c", "X-C:", "X-D:   ")),
    Case("repeated headers", get("/a", "X-A: 1", "X-B: 2", "X-A: 3")),
    Case("bytes beyond ASCII", get("/a", "X-A: caf\xe9")),
    Case("a dot path stays", get("/a/../b/./c//d")),
]  # fmt: skip

ANSWERED = [
    *[Case(f"the answer {do}", get("/a", f"Do: {do}"))
      for do in ("204", "304", "404", "500", "noreason", "chunked", "trailers", "close", "cookies", "hints", "hundred",
                 "slow", "empty", "obstext", "big", "bigchunks")],
    Case("the answer until close", get("/a", "Do: untilclose"), differs=(differ.chunks_until_close,)),
    Case("the answer of an old server", get("/a", "Do: old"), differs=(differ.no_needless_keep_alive,)),
    Case("the answer of an old server, kept", get("/a", "Do: oldkeep"), differs=(differ.no_needless_keep_alive,)),
    Case("the answer with hop-by-hop fields", get("/a", "Do: connection"), differs=(differ.removes_hop_by_hop,)),
    Case("an early answer", get("/a", "Do: early", *POST, method="POST"), differs=(differ.early_answer_closes,)),
    Case("an early answer and the end", get("/a", "Do: earlyclose", *POST, method="POST"),
         differs=(differ.early_answer_closes,)),
]  # fmt: skip

KEEP = ("Connection: keep-alive",)
OLD = [
    *[Case(f"HTTP/1.0, {name}", get("/a", f"Do: {do}", *fields, version="1.0"), differs=(differ.own_version, *more))
      for name, do, fields, more in (
          ("plain", "empty", (), ()), ("keep-alive", "cookies", KEEP, ()),
          ("chunked answer", "chunked", (), (differ.no_chunks_for_old_clients,)),
          ("chunked answer and keep-alive", "chunked", KEEP, (differ.no_chunks_for_old_clients,)),
          ("trailers", "trailers", (), (differ.no_chunks_for_old_clients,)),
          ("until close", "untilclose", (), ()), ("until close and keep-alive", "untilclose", KEEP, ()),
          ("an old answer", "old", (), (differ.says_close,)),
          ("interim", "hints", (), (differ.no_interim_for_old_clients,)))],
    Case("HTTP/1.0 without Host", get("/a", version="1.0", host=None),
         differs=(differ.own_version, differ.host_for_http_1_1)),
    Case("HTTP/1.0 POST", get("/a", *POST, method="POST", version="1.0") + b"hello", differs=(differ.own_version,)),
]  # fmt: skip

SAME = {"else": ()}
TWO = get("/one") + get("/two")
CONNECTIONS = [
    Case("pipelined", TWO, methods=("GET", "GET")),
    Case("pipelined over three", TWO + get("/three", "Connection: close"), methods=("GET",) * 3),
    Case("pipelined behind a POST", get("/p", *POST, method="POST") + b"hello" + get("/g"), methods=("POST", "GET")),
    Case("pipelined behind a close", get("/one", "Connection: close") + get("/two"), wait=True),
    Case("pipelined HEAD and GET", get("/h", "Do: head", method="HEAD") + get("/g"), methods=("HEAD", "GET")),
    Case("Connection: close", get("/a", "Connection: close")),
    Case("Connection: Close, keep-alive", get("/a", "Connection: Close, keep-alive")),
    Case("Connection lists a field", get("/a", "Connection: X-Hop", "X-Hop: 1", "X-Stay: 2"),
         differs=(differ.removes_hop_by_hop,)),
    Case("Proxy-Connection", get("/a", "Proxy-Connection: keep-alive", "Keep-Alive: 5"),
         differs=(differ.removes_hop_by_hop,)),
    Case("TE", get("/a", "TE: trailers, deflate", "Connection: TE")),
    *[Case(f"{mode}, {name}", request, mode, methods, differs=differs.get(mode, differs["else"]))
      for mode in ("serverclose", "close", "backclose")
      for name, request, methods, differs in (
          ("a GET", get("/a"), ("GET",), SAME),
          ("two", TWO, ("GET", "GET")[: 1 if mode == "close" else 2], SAME),
          ("HTTP/1.0 keep-alive", get("/a", *KEEP, version="1.0"), ("GET",), {"else": (differ.own_version_and_close,)}),
          ("an old answer", get("/a", "Do: old"), ("GET",),
           {"else": (differ.no_needless_keep_alive,), "close": (differ.says_close,)}),
          ("chunked", get("/a", "Do: chunked"), ("GET",), SAME),
          ("until close", get("/a", "Do: untilclose"), ("GET",),
           {"else": (differ.chunks_until_close,), "close": (differ.chunks_until_close_and_closes,)}),
          ("Connection: close", get("/a", "Connection: close"), ("GET",), SAME))],
]  # fmt: skip

FORWARDED = [
    Case("forwardfor", get("/a"), "forward"),
    Case("forwardfor beside another", get("/a", "X-Forwarded-For: 1.2.3.4"), "forward"),
    Case("forwardfor except", get("/a"), "forward_except"),
    Case("forwardfor if-none, none", get("/a"), "forward_if_none"),
    Case("forwardfor if-none, one", get("/a", "x-client: 1.2.3.4"), "forward_if_none"),
    Case("forwardfor in both", get("/a"), "forward_back"),
]

HOSTS = [
    Case(f"Host {host!r}", get("/a", host=host), "hosts")
    for host in ("www.example.com", "WWW.Example.COM", "www.example.com:8080", "www.example.com.", "xwww.example.com",
                 "rancher.example.com", "a.rancher.example.com", "rancher.example.com:99", "rancher.example.com.x",
                 "xrancher.example.com", "RANCHER.example.COM", "api.x", "API.x:1", "b.example.org", "b.example.org:1",
                 "v12.x", "V12.x")
] + [
    Case("a backend by name", get("/a", "X-Name: one"), "hosts"),
    Case("a backend by a name that there is not", get("/a", "X-Name: two"), "hosts"),
    Case("absolute form", get("http://www.example.com/abs?x", host="www.example.com"), "hosts",
         differs=(differ.origin_form,)),
    Case("absolute form with a port", get("http://www.example.com:81/abs", host="www.example.com:81"), "hosts",
         differs=(differ.origin_form,)),
]  # fmt: skip

RULES = [
    *[Case(f"rule {path}", get(path, *fields), "rules", logs=0 if path == "/alive" else None)
      for path, *fields in (
          ["/x", "X-Secret: 1", "x-secret: 2", "X-Tmp-A: 1", "X-Tmp-B: 2", "X-Twice: 0"],
          ["/samples?q=1&r=2", "Cookie: c=7; d=8", "X-Many: a, b", "X-Many: c"], ["/Conv/Two/three"],
          ["/old/a?b=c"], ["/query?y=2"], ["/setur"], ["/keep/cut/more"], ["/put"], ["/toomany"],
          ["/denytext"], ["/return"], ["/empty"], ["/format"], ["/location?q=1"], ["/moved"], ["/prefix/a?b=c"],
          ["/dropquery/a?b=c"], ["/scheme/a?b=c"], ["/setcookie"], ["/clearcookie"], ["/dir?x=1"], ["/private/a"],
          ["/private/a", "Authorization: Basic YWxpY2U6c2VjcmV0"], ["/private/a", "Authorization: Basic AAAA"],
          ["/allowed"], ["/oldredirect"], ["/nobackend"], ["/alive"],
          ["/x", "Do: 299"], ["/x", "Do: 298"], ["/x", "Do: forbid"], ["/x", "Do: oldheader"])],
    Case("replace-header and replace-value", get("/x", "X-Fix: abc", "X-Fix: xbc", "X-List: abba, bbb, c"), "rules",
         differs=(differ.list_space,)),
    Case("an errorfile", get("/deny"), "rules", differs=(differ.errorfile_length,)),
    Case("an errorfile of a backend", get("/backerror"), "rules", differs=(differ.errorfile_length,)),
    Case("deny of a HEAD", get("/deny", method="HEAD"), "rules", ("HEAD",), differs=(differ.errorfile_length,)),
    Case("return to a HEAD", get("/return", method="HEAD"), "rules", ("HEAD",)),
    Case("redirect of a POST", get("/location", *POST, method="POST") + b"hello", "rules", ("POST",)),
    Case("deny of a POST whose body is missing", get("/deny", *POST, method="POST"), "rules", ("POST",),
         differs=(differ.errorfile_length_and_close,)),
    Case("deny to HTTP/1.0", get("/deny", version="1.0"), "rules", differs=(differ.errorfile_length_and_close,)),
    Case("return to HTTP/1.0", get("/return", version="1.0"), "rules"),
    Case("return to HTTP/1.0 keep-alive", get("/return", *KEEP, version="1.0"), "rules"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("requests")
    for status, reason in ((403, "Forbidden"), (503, "Service Unavailable")):
        (directory / f"{status}.http").write_bytes(
            f"HTTP/1.0 {status} {reason}\r\nCache-Control: no-cache\r\nX-Page: own\r\n\r\nown page {status}\n".encode()
        )
    with running_pair(directory, CONFIG, ANSWERS) as pair:
        yield pair


@pytest.mark.parametrize("case", METHODS + ANSWERED, ids=str)
def test_requests_and_answers_pass_alike(pair, case):
    compare(pair, case)


@pytest.mark.parametrize("case", OLD, ids=str)
def test_old_clients_are_served_alike(pair, case):
    compare(pair, case)


@pytest.mark.parametrize("case", CONNECTIONS, ids=str)
def test_connections_live_and_end_alike(pair, case):
    compare(pair, case)


@pytest.mark.parametrize("case", FORWARDED + HOSTS, ids=str)
def test_servers_hear_of_clients_and_are_chosen_by_host_alike(pair, case):
    compare(pair, case)


@pytest.mark.parametrize("case", RULES, ids=str)
def test_rules_act_alike(pair, case):
    compare(pair, case)
