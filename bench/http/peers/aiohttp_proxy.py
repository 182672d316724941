"""The load balancer that one writes with aiohttp in an evening: turn by turn, cookie, X-Forwarded-For, choice by Host,
a line to syslog. Ports and servers come from the environment, as in haproxy.cfg; no more is done for speed than is
usual (uvloop, one session with kept connections, bodies streamed)."""

import asyncio
import itertools
import logging
import os
import ssl
from logging.handlers import SysLogHandler

import aiohttp
import uvloop
from aiohttp import web

WORKERS = {f"p{number}": f"http://127.0.0.1:{os.environ[f'WORKER{number}']}" for number in (1, 2, 3)}
RANCHER = f"http://127.0.0.1:{os.environ['RANCHER']}"
HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade")
turn = itertools.cycle(WORKERS)
log = logging.getLogger("proxy")


async def forward(request: web.Request) -> web.StreamResponse:
    """One request, in a frontend of a name."""
    app, cookie, new = request.app, request.cookies.get("SRVNAME"), False
    headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
    if app["name"] == "bare":
        target = WORKERS[next(turn)]
    elif "rancher.monitor.viettq.com" in request.headers.get("Host", "").lower():
        target = RANCHER
    else:
        new = cookie not in WORKERS
        cookie = next(turn) if new else cookie
        target = WORKERS[cookie]
    if app["name"] != "bare":
        others = "; ".join(f"{name}={value}" for name, value in request.cookies.items() if name != "SRVNAME")
        headers |= {"X-Forwarded-For": request.remote or "", "Cookie": others}
    if app["name"] == "tls":
        headers["X-Forwarded-Proto"] = "https"
    body = request.content if request.body_exists else None
    session = app["session"]
    async with session.request(request.method, target + request.raw_path, headers=headers, data=body) as answer:
        kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        if new:
            response.headers["Set-Cookie"] = f"SRVNAME={cookie}; path=/"
        if app["name"] == "both_close":
            response.force_close()
        await response.prepare(request)
        async for data in answer.content.iter_any():
            await response.write(data)
        await response.write_eof()
    if app["name"] != "bare":
        log.info('%s %s %s "%s %s"', request.remote, target, answer.status, request.method, request.raw_path)
    return response


async def sessions(app: web.Application):
    """The way to the servers, while the application runs."""
    closing = app["name"] in ("server_close", "both_close")
    connector = aiohttp.TCPConnector(limit=0, force_close=closing)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
    ) as session:
        app["session"] = session
        yield


async def main() -> None:
    """All frontends, until the process is ended."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.environ["CERTIFICATE"])
    for name in ("keepalive", "client_close", "server_close", "both_close", "tls", "bare", "idle"):
        app = web.Application(client_max_size=0)
        app["name"] = name
        app.router.add_route("*", "/{path:.*}", forward)
        app.cleanup_ctx.append(sessions)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=300 if name == "idle" else 10)
        await runner.setup()
        port = int(os.environ[name.upper()])
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls if name == "tls" else None, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    log.addHandler(SysLogHandler(("127.0.0.1", int(os.environ["LOG"]))))
    log.setLevel(logging.INFO)
    log.propagate = False
    uvloop.run(main())
