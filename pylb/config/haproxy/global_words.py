"""Keywords of the global section that pylb knows and does not act on, with the reason for each."""

from __future__ import annotations

from typing import Any

from pylb.config.haproxy.keywords import Keyword

_KERNEL = "the kernel's own sizing is used"
_LOOP = "there is one event loop, chosen by the platform"
_MEMORY = "memory is Python's to manage"
_NO_LUA = "Lua is not run: write the logic as rules"
_NO_H2 = "HTTP/2 is not spoken yet"
_NO_COMPRESSION = "bodies are not compressed"
_OPENSSL = "OpenSSL's default is used"
_NO_DEVICES = "there is no device detection"

_IGNORED = {
    "busy-polling": "idle workers sleep",
    "close-spread-time": "idle connections are closed at once when a worker stops",
    "cpu-map": "workers run where the kernel puts them; use taskset",
    "expose-experimental-directives": "nothing is hidden",
    "fd-hard-limit": "set the limit of open files where pylb is started",
    "grace": "workers stop accepting at once; see hard-stop-after",
    "h1-accept-payload-with-any-method": "every method may carry a body",
    "h2-workaround-bogus-websocket-clients": _NO_H2,
    "insecure-fork-wanted": "workers fork nothing",
    "insecure-setuid-wanted": "workers run nothing",
    "master-worker": "there always is a master process",
    "max-spread-checks": "checks are spread over their interval",
    "maxcompcpuusage": _NO_COMPRESSION,
    "maxcomprate": _NO_COMPRESSION,
    "maxpipes": "data is not spliced",
    "maxzlibmem": _NO_COMPRESSION,
    "mworker-max-reloads": "old workers end when their last connection does, or by hard-stop-after",
    "no-memory-trimming": _MEMORY,
    "noepoll": _LOOP,
    "noevports": _LOOP,
    "nogetaddrinfo": "names are resolved by getaddrinfo",
    "nokqueue": _LOOP,
    "nopoll": _LOOP,
    "noreuseport": "sockets are shared by SO_REUSEPORT",
    "nosplice": "data is not spliced",
    "numa-cpu-mapping": "workers run where the kernel puts them",
    "pp2-never-send-local": "health checks say LOCAL",
    "profiling.memory": "use Python's own profilers",
    "profiling.tasks": "use Python's own profilers",
    "quiet": "only findings and logs are written",
    "set-dumpable": "there are no core dumps to keep",
    "ssl-default-bind-curves": _OPENSSL,
    "ssl-dh-param-file": "ECDHE needs no parameters",
    "ssl-load-extra-del-ext": "keys stand in the PEM file or beside it as .key",
    "ssl-load-extra-files": "keys stand in the PEM file or beside it as .key",
    "ssl-mode-async": "there are no asynchronous engines",
    "ssl-skip-self-issued-ca": "chains are sent as the file has them",
    "strict-limits": "limits are the system's",
    "thread-group": "workers are processes",
    "thread-groups": "workers are processes",
    "tune.buffers.limit": _MEMORY,
    "tune.buffers.reserve": _MEMORY,
    "tune.comp.maxlevel": _NO_COMPRESSION,
    "tune.fail-alloc": _MEMORY,
    "tune.fd.edge-triggered": _LOOP,
    "tune.h2.header-table-size": _NO_H2,
    "tune.h2.initial-window-size": _NO_H2,
    "tune.h2.max-concurrent-streams": _NO_H2,
    "tune.h2.max-frame-size": _NO_H2,
    "tune.http.cookielen": "captured cookies are bounded by their len",
    "tune.http.logurilen": "log lines are bounded by len",
    "tune.idletimer": "data is not spliced",
    "tune.listener.multi-queue": "every worker has a socket of its own",
    "tune.maxaccept": _LOOP,
    "tune.maxpollevents": _LOOP,
    "tune.pattern.cache-size": "patterns are compiled when the configuration is read",
    "tune.peers.max-updates-at-once": "there are no peers",
    "tune.pipesize": "data is not spliced",
    "tune.pool-high-fd-ratio": "idle connections are bounded by pool-max-conn",
    "tune.pool-low-fd-ratio": "idle connections are bounded by pool-max-conn",
    "tune.rcvbuf.client": _KERNEL,
    "tune.rcvbuf.server": _KERNEL,
    "tune.recv_enough": _LOOP,
    "tune.runqueue-depth": _LOOP,
    "tune.sched.low-latency": _LOOP,
    "tune.sndbuf.client": _KERNEL,
    "tune.sndbuf.server": _KERNEL,
    "tune.ssl.cachesize": _OPENSSL,
    "tune.ssl.capture-buffer-size": "hellos are not captured",
    "tune.ssl.capture-cipherlist-size": "hellos are not captured",
    "tune.ssl.default-dh-param": "ECDHE needs no parameters",
    "tune.ssl.force-private-cache": "every worker has a cache of its own",
    "tune.ssl.hard-maxrecord": _OPENSSL,
    "tune.ssl.lifetime": _OPENSSL,
    "tune.ssl.maxrecord": _OPENSSL,
    "tune.ssl.ssl-ctx-cache-size": "certificates are not made on the fly",
    "tune.vars.check-max-size": _MEMORY,
    "tune.vars.global-max-size": _MEMORY,
    "tune.vars.proc-max-size": _MEMORY,
    "tune.vars.reqres-max-size": _MEMORY,
    "tune.vars.sess-max-size": _MEMORY,
    "tune.vars.txn-max-size": _MEMORY,
    "tune.zlib.memlevel": _NO_COMPRESSION,
    "tune.zlib.windowsize": _NO_COMPRESSION,
    "ulimit-n": "set the limit of open files where pylb is started",
    "zero-warning": "start with --strict",
}

# "no" may stand before these, as HAProxy has it.
_NEGATABLE = {"busy-polling", "set-dumpable", "strict-limits", "insecure-fork-wanted", "numa-cpu-mapping"}

_UNSUPPORTED = {
    "51degrees-cache-size": _NO_DEVICES,
    "51degrees-data-file": _NO_DEVICES,
    "51degrees-property-name-list": _NO_DEVICES,
    "51degrees-property-separator": _NO_DEVICES,
    "cluster-secret": "it is for QUIC and dynamic cookies",
    "deviceatlas-json-file": _NO_DEVICES,
    "deviceatlas-log-level": _NO_DEVICES,
    "deviceatlas-properties-cookie": _NO_DEVICES,
    "deviceatlas-separator": _NO_DEVICES,
    "external-check": "checks are made by connections: tcp-check, httpchk",
    "h1-case-adjust": "header names are passed on as they came",
    "h1-case-adjust-file": "header names are passed on as they came",
    "httpclient.resolvers.id": "there is no client inside",
    "httpclient.resolvers.prefer": "there is no client inside",
    "httpclient.ssl.ca-file": "there is no client inside",
    "httpclient.ssl.verify": "there is no client inside",
    "issuers-chain-path": "put the chain into the PEM file",
    "lua-load": _NO_LUA,
    "lua-load-per-thread": _NO_LUA,
    "lua-prepend-path": _NO_LUA,
    "maxsessrate": "maxconnrate limits connections",
    "maxsslconn": "maxconn on the bind line limits them",
    "maxsslrate": "maxconnrate limits connections",
    "set-var": "process-wide variables are not kept",
    "set-var-fmt": "process-wide variables are not kept",
    "ssl-engine": "OpenSSL's own implementations are used",
    "ssl-propquery": "OpenSSL's own implementations are used",
    "ssl-provider": "OpenSSL's own implementations are used",
    "ssl-provider-path": "OpenSSL's own implementations are used",
    "tune.lua.forced-yield": _NO_LUA,
    "tune.lua.maxmem": _NO_LUA,
    "tune.lua.service-timeout": _NO_LUA,
    "tune.lua.session-timeout": _NO_LUA,
    "tune.lua.task-timeout": _NO_LUA,
    "tune.quic.frontend.conn-tx-buffers.limit": "QUIC is not spoken",
    "tune.quic.frontend.max-idle-timeout": "QUIC is not spoken",
    "tune.quic.frontend.max-streams-bidi": "QUIC is not spoken",
    "tune.quic.retry-threshold": "QUIC is not spoken",
    "tune.ssl.keylog": "session secrets are not kept",
    "wurfl-cache-size": _NO_DEVICES,
    "wurfl-data-file": _NO_DEVICES,
    "wurfl-information-list": _NO_DEVICES,
    "wurfl-information-list-separator": _NO_DEVICES,
    "wurfl-patch-file": _NO_DEVICES,
}

_REMOVED = {
    "nbproc": "use nbthread: the number of workers",
    "stats bind-process": "every worker answers on the socket",
}

IGNORED: list[Keyword[Any]] = [
    Keyword(name, status="ignored", note=note, negatable=name in _NEGATABLE) for name, note in _IGNORED.items()
]
UNSUPPORTED: list[Keyword[Any]] = [
    *(Keyword(name, status="unsupported", note=note) for name, note in _UNSUPPORTED.items()),
    *(Keyword(name, status="removed", note=note) for name, note in _REMOVED.items()),
]
