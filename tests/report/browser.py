# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser (Debian's chromium, without a window), driven over its DevTools protocol by pipe: enough to open a page, look and measure."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t


class Browser:
    """One browser with one page. C(with Browser() as browser:)."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="seafleet-browser-")
        program = shutil.which("chromium")
        assert program, "there is no chromium: tools/system-packages browser"
        # it reads commands from descriptor 3 and answers on 4, each message ended by a zero byte
        to_read, self._to_write = os.pipe()
        self._to_listen, to_answer = os.pipe()
        command = [
            program,
            "--headless",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            f"--user-data-dir={self._directory}",
        ]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # its sandbox does not start as root

        def arrange() -> None:
            # out of the way first, for either may be 3 or 4 already
            reads, answers = fcntl.fcntl(to_read, fcntl.F_DUPFD, 10), fcntl.fcntl(to_answer, fcntl.F_DUPFD, 10)
            os.dup2(reads, 3)
            os.dup2(answers, 4)

        self._process = subprocess.Popen(
            command, preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_answer)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.requests: list[str] = []
        """The address of everything that the page asked for."""
        self.messages: list[str] = []
        """What the browser complained about: errors and warnings of its console."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_details: t.Any) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        os.close(self._to_write)
        os.close(self._to_listen)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _message(self) -> dict[str, t.Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._to_listen, 1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        line, _zero, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, message: dict[str, t.Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(params["exceptionDetails"]))

    def call(self, method: str, **params: t.Any) -> dict[str, t.Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def open(self, path: pathlib.Path, width: int = 1200, height: int = 900, scale: float = 1, dark: bool = False, media: str = "screen") -> None:
        """Open the file I(path) in a window of that size, and wait until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=path.resolve().as_uri())
        while self.evaluate("document.readyState") != "complete" or self.evaluate("location.href") != path.resolve().as_uri():
            pass

    def evaluate(self, expression: str) -> t.Any:
        """Return the value of an expression of the page's language, run by the test and not by the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: pathlib.Path, whole: bool = False, height: int | None = None) -> None:
        """Write what the window shows, or the whole page, or its upper I(height) pixels, as a PNG."""
        options: dict[str, t.Any] = {"format": "png"}
        if whole or height:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options.update(captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1})
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))

    def pdf(self, path: pathlib.Path) -> None:
        """Print the page."""
        path.write_bytes(
            base64.b64decode(self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)["data"])
        )
