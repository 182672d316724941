"""A headless Chromium driven over its DevTools protocol, as far as the tests of the statistics page need it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import require_program, wait_for
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One tab: go to addresses, run script in it, take pictures. Collects console errors and failed loads."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection
        self._number = 0
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._loaded = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=30))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._event(message)

    def _event(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(params["entry"]))
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])

    def _wait_loaded(self, before: int) -> None:
        deadline = time.monotonic() + 30
        while self._loaded == before:
            assert time.monotonic() < deadline, "the page did not load"
            self._event(json.loads(self._connection.recv(timeout=30)))

    def goto(self, url: str) -> None:
        before = self._loaded
        self.call("Page.navigate", url=url)
        self._wait_loaded(before)

    def click(self, selector: str, *, loads: bool = False) -> None:
        """Click an element; `loads`: and wait for the page that comes of it."""
        before = self._loaded
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        if loads:
            self._wait_loaded(before)

    def click_submit(self, form: str) -> None:
        """Submit a form as the return key does, and wait for the page that comes of it."""
        before = self._loaded
        self.run(f"document.querySelector({json.dumps(form)}).requestSubmit()")
        self._wait_loaded(before)

    def wait_reload(self) -> None:
        """Wait until the page has loaded again by itself."""
        self._wait_loaded(self._loaded)

    def run_later(self, script: str, milliseconds: int) -> Any:
        """The value of a script after that time."""
        waiting = f"new Promise(done => setTimeout(() => done({script}), {milliseconds}))"
        result = self.call("Runtime.evaluate", expression=waiting, returnByValue=True, awaitPromise=True)
        return result["result"].get("value")

    def run(self, script: str) -> Any:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the screen and the colour scheme; below 600 pixels it is a telephone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def authenticate(self, user: str, password: str) -> None:
        """Send Basic credentials along, as after the browser's own dialogue."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {token}"})


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a fresh browser with its own profile; both are gone afterwards."""
    program = require_program("chromium")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        environment = {**os.environ, "HOME": profile}
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        try:
            port_file = Path(profile, "DevToolsActivePort")
            wait_for(lambda: port_file.exists() and len(port_file.read_text().split()) == 2, 60, "chromium to start")
            port, path = port_file.read_text().split()
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as connection:
                yield _tab(connection)
        finally:
            process.terminate()
            process.wait(20)


def _tab(connection: ClientConnection) -> Page:
    """Attach to a new tab: in flat mode its messages carry a session id, which this wrapper adds."""

    def ask(method: str, **params: Any) -> dict[str, Any]:
        connection.send(json.dumps({"id": 0, "method": method, "params": params}))
        while True:
            message = json.loads(connection.recv(timeout=30))
            if message.get("id") == 0:
                return dict(message["result"])

    target = ask("Target.createTarget", url="about:blank")["targetId"]
    session = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    return Page(_Session(connection, session))  # type: ignore[arg-type]


class _Session:
    def __init__(self, connection: ClientConnection, session: str):
        self._connection, self._session = connection, session

    def send(self, text: str) -> None:
        self._connection.send(json.dumps({**json.loads(text), "sessionId": self._session}))

    def recv(self, timeout: float) -> str | bytes:
        while True:
            text = self._connection.recv(timeout=timeout)
            if json.loads(text).get("sessionId") == self._session:
                return text
