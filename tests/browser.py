"""A headless Chromium for tests, driven with the DevTools protocol through a pipe.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The path of the browser; None if it is not installed."""

START = 60.0
"""Seconds that a command may take on a busy machine."""

SERVER_ERROR = -32000
"""The code of an error for which JSON-RPC and the protocol have no code of their own."""

SANDBOX_READY = "document.querySelector('#operation')?.value && document.querySelector('#path')?.value"
"""True when the scripts of the sandbox's page have run."""


class Unanswered(AssertionError):
    """The browser could not carry out a command, such as a question to a page that it is leaving."""


class Browser:
    """One page of a browser. It is a context manager.

    Args:
        folder: a folder for the browser's profile.
        language: the language of the browser.

    Attributes:
        requested: the URLs that the page has requested.
        problems: the errors that the console showed, and exceptions that nothing caught.
    """

    def __init__(self, folder: Path, language: str = "en") -> None:
        self.requested: list[str] = []
        self.problems: list[str] = []
        self._folder, self._language, self._number, self._rest, self._session = folder, language, 0, b"", ""

    def __enter__(self) -> Browser:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [
            str(CHROMIUM),
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            f"--user-data-dir={self._folder}",
        ]
        # The browser reads from descriptor 3 and writes to descriptor 4.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        agent = self.send("Browser.getVersion")["userAgent"]
        self.send("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=self._language)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **parameters: Any) -> Any:
        """Sends a command, and returns its result."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == self._number:
                if received.get("error", {}).get("code") == SERVER_ERROR:
                    raise Unanswered(received)
                assert "error" not in received, received
                return received["result"]

    def evaluate(self, expression: str) -> Any:
        """Returns the value of an expression in JavaScript, or of its promise; an element becomes {}."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Waits until an expression is true, and returns its value."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            with suppress(Unanswered):  # the page is left for another one, or is reloaded
                if value := self.evaluate(expression):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"{expression} did not become true; the console says {self.problems}")

    def open(self, url: str, width: int = 1280, dark: bool = False, *, ready: str = SANDBOX_READY) -> None:
        """Opens a page in a window of a width, and waits until its scripts have run.

        Args:
            url: the page.
            width: pixels; below 600 it is a phone.
            dark: whether the system prefers the dark scheme.
            ready: the expression that is true then.
        """
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=url)
        self.wait(ready)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key and releases it."""
        values = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self.send("Input.dispatchKeyEvent", type="keyDown", **values)
        self.send("Input.dispatchKeyEvent", type="keyUp", **values)

    def click(self, selector: str) -> None:
        """Clicks the middle of an element with the mouse."""
        box = f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
        x, y = self.wait(
            f"{box} const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _receive(self) -> dict[str, Any]:
        """Returns the next message, and notes what it says of requests and of errors."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], START)
            chunk = os.read(self._in, 1 << 16) if ready else b""
            assert chunk, "the browser does not respond"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        values = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(values["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(values["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if values["type"] in ("error", "warning"):
                self.problems.append(json.dumps(values["args"]))
            case "Log.entryAdded" if values["entry"]["level"] in ("error", "warning"):
                self.problems.append(json.dumps(values["entry"]))
        return message
