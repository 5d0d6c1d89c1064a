# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server that stands in for whoever is told of a run: it notes what it is asked, and answers with the status that the path begins with.

C(/200/...), C(/500/...); C(/302/...) sends elsewhere, C(/0/...) never answers, and C(/1/...) answers without ever coming to an end.
"""

from __future__ import annotations

import http.server
import threading
import typing as t


class Listener(http.server.ThreadingHTTPServer):
    """C(with Listener() as listener:); C(listener.asked) has (method, path, body) of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Listener:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_details: t.Any) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Listener

    def _answer(self) -> None:
        self.server.asked.append((self.command, self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0))))
        status = int(self.path.split("/")[1])
        if status == 0:
            self.server.released.wait()
            return
        if status == 1:
            # a header line every moment, so that no time-out of the socket alone ends it
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not self.server.released.wait(0.1):
                try:
                    self.wfile.write(b"X: y\r\n")
                except OSError:
                    return
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200/elsewhere")
        self.end_headers()

    do_GET = do_POST = _answer  # noqa: N815  # the names that http.server looks for

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        """Say nothing: the output is the test's."""
