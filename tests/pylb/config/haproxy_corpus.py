"""Lines and files of HAProxy's language, good and bad: what the real reader accepts, ours must.

Each entry is one file. Lines are put into a context that is complete without them. `DIFFERENT` lists where we part
from the real program on purpose: the reason stands beside the line.
"""

from __future__ import annotations

CONTEXTS = {
    "global": "global\n {line}\n",
    "defaults": "defaults\n mode http\n {line}\n",
    "named": "defaults d\n mode http\n {line}\n",
    "frontend": "defaults\n mode http\nfrontend f\n bind :8080\n {line}\n",
    "backend": "defaults\n mode http\nbackend b\n server s0 10.0.0.9:80\n {line}\n",
    "listen": "defaults\n mode http\nlisten l\n bind :8080\n server s0 10.0.0.9:80\n {line}\n",
    "tcp": "defaults\n mode tcp\nlisten l\n bind :8080\n server s0 10.0.0.9:80\n {line}\n",
    "userlist": "userlist u\n {line}\n",
    "file": "{line}\n",
}

# "+" accepted, "-" refused; then the line, with \n for several.
LINES: dict[str, str] = {
    "global": r"""
+ daemon
- daemon now
- no daemon
+ maxconn 4000
- maxconn
- maxconn 1 2
- maxconn 12x
+ log 127.0.0.1 local0
+ log 127.0.0.1:514 len 4096 format rfc5424 local0 notice err
+ log stdout format raw daemon
+ log /dev/log local0 info
+ log tcp@127.0.0.1:514 format rfc5424 local0 notice
+ log udp4@127.0.0.1:514 local0
+ log "${PYLB_NO_SUCH-127.0.0.1}:514" local0
+ log 127.0.0.1:51${PYLB_NO_SUCH}4 local0
+ log '127.0.0.1:51$PYLB_NO_SUCH' local0
- log ${PYLB_NO_SUCH} local0
- log 127.0.0.1
- log 127.0.0.1 local8
- log 127.0.0.1 local0 warn
- log 127.0.0.1 len 10 local0
- log 127.0.0.1 format xml local0
+ no log
+ log-send-hostname
+ log-tag pylb
- log-tag
+ stats socket /tmp/pylb.sock mode 600 level admin expose-fd listeners
+ stats socket ipv4@127.0.0.1:9999 level operator
- stats socket
- stats socket /tmp/pylb.sock level root
- stats socket /tmp/pylb.sock mode 999
+ stats timeout 30s
- stats timeout 0
- stats timeout soon
+ stats maxconn 5
- stats maxconn 0
- stats foo
+ nbthread 2
- nbthread 0
- nbthread 65
- nbproc 2
+ spread-checks 5
- spread-checks 51
+ hard-stop-after 30s
- hard-stop-after
- hard-stop-after 3x
+ tune.bufsize 32768
- tune.bufsize 0
- tune.bufsize x
+ tune.maxrewrite 1024
+ tune.http.maxhdr 200
- tune.http.maxhdr 0
- tune.nosuch 1
+ setenv A b
- setenv A
+ presetenv A b
+ unsetenv A
+ resetenv PATH
+ ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
- ssl-default-bind-options
- ssl-default-bind-options nosuch
+ ssl-default-server-options ssl-min-ver TLSv1.2
+ ssl-default-bind-ciphers ECDHE+AESGCM
+ ssl-server-verify none
- ssl-server-verify maybe
+ unix-bind prefix /tmp/ mode 660
- unix-bind prefix
- unix-bind nosuch x
+ node lb1
- node lb/1
+ description the first of two
- description
- chroot
- pidfile
+ ca-base /etc/ssl
- ca-base
+ default-path current
- default-path nowhere
+ busy-polling
+ no busy-polling
+ cpu-map 1 0
- reqadd X:\ y
- "unclosed
- 'unclosed
- maxconn\xZZ 3
- log "${1A}" local0
- log "${PATH" local0
- nosuchkeyword 1
""",
    "defaults": r"""
+ retries 0
+ timeout client 1m
+ timeout http-request 10s
- timeout client
- timeout client 3x
- timeout client 3s 4s
- timeout nosuch 3s
+ option httplog
+ option httplog clf
- option httplog nosuch
- no option httplog
+ no option httpclose
- default option nosuch
- option httpclose now
- option nosuch
+ option forwardfor except 127.0.0.0/8 header X-Client if-none
- option forwardfor except nowhere
- option forwardfor nosuch
+ option redispatch
+ option redispatch 3
+ option redispatch -2
+ no option redispatch
+ default option dontlognull
+ log global
+ no log
- no log now
- no timeout client
- acl a path /
- http-request deny
- bind :8080
- server a 10.0.0.1:80
- use_backend b
- stats admin if TRUE
+ stats enable
+ stats uri /stats
- stats uri
- stats nosuch
+ balance leastconn
+ balance uri depth 3 len 20
+ balance url_param id
+ balance hdr(Host)
+ balance random(3)
- balance nosuch
- balance uri depth x
- balance hdr
+ hash-type consistent
+ hash-type consistent wt6 avalanche
- hash-type nosuch
- hash-type consistent nosuch
- hash-type consistent sdbm nosuch
+ cookie SRV insert indirect nocache httponly secure maxidle 1h maxlife 1d domain .example.com
+ cookie SRV prefix nocache
+ cookie SRV
+ cookie SRV insert attr SameSite=Lax
- cookie
- cookie SRV nosuch
- cookie SRV insert rewrite
- cookie SRV rewrite indirect
- cookie SRV rewrite preserve
- cookie SRV insert maxidle x
- cookie SRV insert attr a;b
+ http-reuse always
- http-reuse nosuch
+ retry-on conn-failure 503 empty-response
- retry-on
- retry-on nosuch
+ errorloc 503 /sorry
+ errorloc303 503 /sorry
- errorloc 999 /sorry
- errorfile 999 /sorry
+ default-server inter 3s fall 2 maxconn 100
- default-server nosuch
- default-server inter
+ maxconn 2000
+ backlog 100
+ fullconn 100
+ monitor-uri /ok
- monitor-uri
+ disabled
- disabled now
+ option http-buffer-request
+ no option http-buffer-request
+ load-server-state-from-file global
- load-server-state-from-file nosuch
+ load-server-state-from-file local\n server-state-file-name web.state
+ server-state-file-name
+ server-state-file-name use-backend-name
- persist nosuch
+ option httpchk
+ option httpchk /health
+ option httpchk GET /health HTTP/1.0
+ http-check expect status 200-399
+ http-check expect ! string error
+ http-check expect rstatus ^2
+ http-check expect hdr name -m beg content value -m sub text
- http-check expect
- http-check expect nosuch
- http-check expect status x
+ http-check send meth GET uri / ver HTTP/1.1 hdr Host www body x
- http-check send nosuch
+ http-check connect port 80 ssl sni www alpn http/1.1
- http-check connect nosuch
- http-check nosuch
+ http-check disable-on-404
+ http-check send-state
+ tcp-check send PING\r\n
+ tcp-check send-binary 50494e47
+ tcp-check expect string +PONG
+ tcp-check expect ! rstring ^-ERR
+ tcp-check expect binary 2b
- tcp-check expect string
- tcp-check nosuch
- no nosuch
- clitimeout 3s
- mode health
- mode nosuch
+ log-format "%ci:%cp [%t] %ft"
+ source 10.0.0.1
""",
    "named": r"""
+ acl a path /
+ http-request deny
+ http-request set-header X-A b if { path / }
- bind :8080
- use_backend b
- stats admin if TRUE
""",
    "frontend": r"""
+ bind 127.0.0.1:80${PYLB_NO_SUCH}81
+ bind '127.0.0.1:80${PYLB_NO_SUCH}81'
+ bind 127.0.0.1:8081$PYLB_NO_SUCH,127.0.0.1:8082${PYLB_NO_SUCH
- bind 127.0.0.1:${PYLB_NO_SUCH}
+ bind ${PATH}:8080
+ http-request wait-for-body time 1s at-least 1k if METH_POST
+ http-request set-map(/x.map) %[src] 1
+ http-request add-acl(/x.lst) %[src] if { path /x }
+ http-request set-src req.hdr(x-real) if { src 10.0.0.0/8 }
+ http-request set-mark 0x10
+ bind :8081,:8082
+ bind 127.0.0.1:8081 name main maxconn 10 backlog 5
+ bind :8081-8085
+ bind [::]:8081 v6only
+ bind [::1]:8081
+ bind ipv4@*:8081
+ bind ipv6@:::8081
+ bind unix@/tmp/pylb.sock mode 600
+ bind /tmp/pylb.sock
+ bind abns@pylb
+ bind :8081 accept-proxy defer-accept
+ bind :8081,
- bind
- bind 8081
- bind *
- bind :0
- bind :8085-8081
- bind :8081 nosuch
- bind fd@x
- bind 1.2.3:80
- bind ipv6@1.2.3.4:80
- bind ipv4@[::1]:80
- bind :65536
- bind :8081 expose-fd nosuch
- bind :8081 level nosuch
- bind :8081 ssl
- bind :8081 verify nosuch
- bind :8081 ssl-min-ver TLSv1.9
- bind /tmp/pylb.sock mode 999
+ cookie SRV insert
+ balance roundrobin
+ retries 3
+ option redispatch
+ timeout server 3s
- server a 10.0.0.1:80
- retry-on 503
- default-server check
- use-server s0 if { path / }
- server-template a 3 10.0.0.1:80
+ acl a path_beg /static /images
+ acl a hdr_dom(host) -i example.com
- acl
- acl a
- acl a$ path /
- acl or path /
+ http-request deny if { path /x } !{ src 10.0.0.0/8 }
+ http-request set-header X-A "a b" unless { path /x } or { path /y }
- http-request
- http-request deny if
+ redirect location /x if { path / }
+ redirect scheme https
+ capture request header Host len 64
+ capture response header Server len 10
+ capture cookie SRV len 32
+ declare capture request len 3
+ declare capture response len 3
- declare capture cookie len 3
- declare capture request len 0
- declare capture request size 3
+ http-request capture path len 3\n http-request capture path id 0
- http-request capture path len 0
+ log 127.0.0.1 sample 1:4 local0
+ log 127.0.0.1 len 200 format raw sample 4,1-2:5 local0 err
- log 127.0.0.1 sample 3-1:4 local0
- log 127.0.0.1 sample 0:4 local0
- log 127.0.0.1 sample 5:4 local0
- log 127.0.0.1 sample 1-3,2:4 local0
- log 127.0.0.1 sample 1,,2:4 local0
- log 127.0.0.1 sample 1-2 local0
- log 127.0.0.1 sample 1:0 local0
- log 127.0.0.1 sample 1-:4 local0
- log 127.0.0.1 local0 sample 1:4
+ log-format-sd "[x@1 a=%ci]"
+ error-log-format "%ci:%cp %[fc_err] %[fc_err_str]"
+ option httpslog
- no option httpslog
- capture request header Host
- capture nosuch
- capture cookie SRV size 3
+ monitor-uri /ok
+ monitor fail if FALSE
- monitor fail
+ stats enable
+ stats uri /stats\n stats realm A\ B\n stats auth a:b\n stats refresh 10s\n stats admin if TRUE
- stats admin
+ stats http-request auth realm X if FALSE
- stats http-request nosuch
+ maxconn 10
- maxconn ten
+ option dontlognull
+ option logasap
+ option http-server-close
+ log-tag x
+ description a b c
+ id 7
- id 0
+ reqadd X:\ y
+ rspadd X:\ y if { path / }
- reqrep a b
- filter trace
- block if TRUE
- nosuchkeyword
+ unique-id-format %[uuid]
+ tcp-request inspect-delay 5s
+ tcp-request connection reject if { src 10.0.0.1 }
+ tcp-request content accept
- tcp-request nosuch
- tcp-request inspect-delay x
- use_backend
""",
    "backend": r"""
+ server v 127.0.0.1${PYLB_NO_SUCH}:80 check addr 127.0.0.${PYLB_NO_SUCH}2 source 127.0.0.1$PYLB_NO_SUCH
- server v 127.0.0.1:${PATH}
+ server a 10.0.0.1:80 check inter 2000 rise 2 fall 3 weight 10 maxconn 50 cookie a
+ server a 10.0.0.1 check port 8080
+ server a :80
+ server a 10.0.0.1:+1000
+ server a [2001:db8::1]:80
+ server a ipv6@[2001:db8::1]:80
+ server a unix@/tmp/s.sock
+ server a /tmp/s.sock backup
+ server a 10.0.0.1:80 disabled
+ server a 10.0.0.1:443 ssl verify none sni str(www.example.com)
+ server a 10.0.0.1:80 observe layer7 error-limit 5 on-error mark-down check
+ server a 10.0.0.1:80 check on-marked-down shutdown-sessions
+ server a 10.0.0.1:80 slowstart 10s
+ server a 10.0.0.1:80 send-proxy-v2 check-send-proxy
+ server a 10.0.0.1:80 pool-max-conn -1 pool-purge-delay 2s
+ server a 10.0.0.1:80 redir http://mirror
+ server a 10.0.0.1:80 check\n server c 10.0.0.1:80 track a
+ server a 10.0.0.1:80 source 10.0.0.2
+ server a 10.0.0.1:80 id 3
+ server-template t 3 10.0.0.1:80
+ server-template t 2-4 10.0.0.1:80 check
- server
- server a
- server s0 10.0.0.1:80
+ server a 10.0.0.1:80 agent-check agent-port 99
+ server a 10.0.0.1:80 agent-check agent-port 99 agent-inter 5s agent-addr 10.0.0.2 agent-send hi
+ server a 10.0.0.1:80 agent-check agent-port 99 no-agent-check
- server a 10.0.0.1:80 agent-check
- server a 10.0.0.1:80 agent-check agent-port 0
+ server a 10.0.0.1:80 check check-ssl verify none
- server a 10.0.0.1:80 check check-ssl
+ server a 10.0.0.1:443 ssl verify none no-ssl-reuse no-tls-tickets
+ cookie SRV insert dynamic
+ dynamic-cookie-key sesame
+ server a 10.0.0.1:443 ssl ca-file @system-ca
- server a 10.0.0.1:443 ssl
- server a@ 10.0.0.1:80
- server a 10.0.0.1:99999
- server a 10.0.0.1:80-90
- server a 10.0.0.1:80 nosuch
- server a 10.0.0.1:80 weight 300
- server a 10.0.0.1:80 weight -1
- server a 10.0.0.1:80 inter 0
- server a 10.0.0.1:80 check inter soon
- server a 10.0.0.1:80 cookie
- server a 10.0.0.1:80 rise 0
- server a 10.0.0.1:80 fall 0
- server a 10.0.0.1:80 id 0
- server a 10.0.0.1:80 observe layer5
- server a 10.0.0.1:80 error-limit 0
- server a 10.0.0.1:80 on-error nosuch
- server a 10.0.0.1:80 on-marked-down nosuch
- server a 10.0.0.1:80 slowstart 1x
- server a 10.0.0.1:80 pool-max-conn -2
- server a 10.0.0.1:80 verify nosuch
- server-template t 0 10.0.0.1:80
- server-template t 3-1 10.0.0.1:80
- server-template t x 10.0.0.1:80
+ bind :8080
+ option dontlognull
+ timeout client 3s
+ monitor-uri /x
+ option abortonclose
+ no option allbackups
+ stick-table type ip size 1m\n stick on src if { path /x }
+ stick-table type string size 1m\n stick match url_param(id)\n stick store-request req.cook(S),lower
+ stick-table type string size 1m\n stick store-response res.cook(S)\n stick store-response res.hdr(x) if { status 200 }
- stick store-response
- stick on
- stick-table type ip size 1m\n stick on src table
+ use-server s0 if { path /x }
- use-server s0
+ force-persist if { path /x }
- force-persist
+ ignore-persist unless { path /x }
+ stick-table type ip size 1m expire 30s store gpc0,conn_rate(3s)
+ stick-table type string len 32 size 100k nopurge
+ stick-table type binary len 8 size 1m store http_req_rate(24h)
- stick-table type ip
- stick-table type nosuch size 10
- stick-table type ip size 10 store nosuch
- stick-table type ip len 3 size 10
- stick-table type ip size 10 store conn_rate
- stick-table type ip size 10 store gpc0(3)
- stick-table type ip size 10\n stick-table type ip size 20
- http-send-name-header X-Server
+ balance hash src
""",
    "listen": r"""
+ option forwardfor
- option forwardfor header
+ http-response set-header X-A b
+ http-after-response set-header X-A b
""",
    "tcp": r"""
+ option tcplog
+ option tcp-check
+ balance source
+ tcp-request content reject if { src 10.0.0.1 }
+ tcp-request content capture req.len len 4
""",
    "userlist": r"""
+ group g users a\n user a password $6$x
+ user a insecure-password x groups g\n group g
- user a insecure-password x groups h
- user a nosuch x
- nosuch
""",
    "file": r"""
+ ring r\n format rfc5424\n maxlen 1200\n server a 127.0.0.1:514 log-proto octet-count\nglobal\n log ring@r local0
+ ring r\n size 32764\n timeout connect 5s\n timeout server 10s
- ring r\n nosuch
- ring r\n format nosuch
+ # nothing but a comment
+ frontend a\n bind :8080\nbackend a
- frontend a\nfrontend a
- listen a\nlisten a
- backend a\nbackend a
- frontend
- frontend a$b
- backend a from d
+ defaults d\ndefaults e from d\nfrontend a from e\n bind :8080
- defaults d\ndefaults d\nfrontend a from d\n bind :8080
- global x
- maxconn 3
- nosuchsection
- frontend f\n reqadd X:\\ y\nbackend b\n nosuch
- resolvers r\n nameserver a 10.0.0.1:53
- cache c\n total-max-size 4
- peers p\n peer a 10.0.0.1:1000
+ userlist u\nuserlist u
- http-errors h\nhttp-errors h
- http-errors h\n errorfile 999 /x
- http-errors h\n nosuch
+ .if 1\nglobal\n.else\nnosuch\n.endif
+ .if 0\nnosuch\n.elif 1\nglobal\n.elif 1\nnosuch\n.endif
+ .if !0 && ( 0 || 1 )\nglobal\n.else\nnosuch\n.endif
+ .if streq("a b",a\ b) && strneq(a,b)\nglobal\n.else\nnosuch\n.endif
+ .if version_atleast(2.4-dev19) && version_before(2.7)\nglobal\n.else\nnosuch\n.endif
+ .if defined(PATH) && !defined(PYLB_NO_SUCH)\nglobal\n.else\nnosuch\n.endif
+ .if feature(OPENSSL) && !feature(QUIC)\nglobal\n.else\nnosuch\n.endif
+ .if\nnosuch\n.endif
- .if nosuch(1)\n.endif
- .if 1
- .if 1 2\n.endif
- .if defined(A,B)\n.endif
- .endif
- .else
- .if 1\n.else\n.else\n.endif
- .if 1\n.else\n.elif 1\n.endif
- .nosuch
+ .notice "hello there"
+ .warning hello
- .alert hello
- .notice a b
+ global\n setenv PYLB_T yes\n .if streq("$PYLB_T",yes)\n daemon\n .else\n nosuch\n .endif
+ global # comment\n daemon#comment
+ frontend f\n bind "${PYLB_NO_SUCH-:8080}"
""",
}

# Lines that the real program judges otherwise, and why.
DIFFERENT: dict[str, str] = {
    "bind 1.2.3:80": "HAProxy reads 1.2.3 as inet_aton() does, 1.2.0.3; we take dotted quads",
    "http-request deny if": "HAProxy ignores an empty condition",
    "capture cookie SRV size 3": "HAProxy does not look at the word len",
    "maxconn ten": "HAProxy reads numbers by atol(): ten is 0",
    "maxconn 12x": "HAProxy reads numbers by atol(): 12x is 12",
    "reqadd X:\\ y": "removed from HAProxy 2.1; we keep its meaning",
    "rspadd X:\\ y if { path / }": "removed from HAProxy 2.1; we keep its meaning",
    "default option dontlognull": "HAProxy 2.6 documents it, and refuses it for a counting mistake",
    "http-send-name-header X-Server": "not supported by pylb",
    "resolvers r\\n nameserver a 10.0.0.1:53": "not supported by pylb",
    "cache c\\n total-max-size 4": "not supported by pylb",
    "peers p\\n peer a 10.0.0.1:1000": "not supported by pylb",
    "filter trace": "not supported by pylb",
}


def entries() -> list[tuple[bool, str, str]]:
    """(accepted, line, file text) of every entry."""
    found = []
    for context, lines in LINES.items():
        for raw in lines.strip("\n").split("\n"):
            line = raw[2:].replace("\\n", "\n")
            found.append((raw[0] == "+", raw[2:], CONTEXTS[context].format(line=line)))
    return found
