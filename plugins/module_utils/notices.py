# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells others: the body of a notice, the address of a ping, and one attempt to deliver that holds up nobody."""

from __future__ import annotations

import json
import threading
import typing as t
import urllib.parse

from ansible.module_utils.urls import open_url

from ansible_collections.seafleet.seafile.plugins.module_utils import words
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import printable

BEGUN, SUCCESS, FAILURE = "begun", "success", "failure"
EVENTS = (BEGUN, SUCCESS, FAILURE)
WEBHOOK, PING = "webhook", "ping"
_ENDINGS = {BEGUN: "/start", SUCCESS: "", FAILURE: "/fail"}
_BAD = ("failed", "damaged")
_TOLD = ("server", "backup_host", "state", "set_id", "code", "message", "seconds", "bytes", "new_bytes")
_MOST_NAMED = 10
_LONGEST_LINE = 300


def of_run(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the notice of a run: C(event), C(text) (lines for people), C(run_id), C(playbook), C(began), C(ended), C(controller), C(totals), C(servers).

    :arg result: the result of the run, see docs/fleet.md.
    """
    bad = [row for row in result["servers"] if row["state"] in _BAD]
    total = len(result["servers"])
    lines = [f"Seafile {result['playbook']}: {total - len(bad)} of {words.count(total, 'server')} went well."]
    if not total:
        lines = [f"Seafile {result['playbook']}: there was no server."]
    lines += [_line(row) for row in bad[:_MOST_NAMED]]
    if len(bad) > _MOST_NAMED:
        lines.append(f"and {len(bad) - _MOST_NAMED} more")
    return {
        "event": FAILURE if bad or not total else SUCCESS, "text": "\n".join(lines),
        **{key: result[key] for key in ("run_id", "playbook", "began", "ended", "controller", "totals")},
        "servers": [{key: row.get(key) for key in _TOLD} for row in result["servers"]]}


def _line(row: t.Mapping[str, t.Any]) -> str:
    said = printable(": ".join(str(part) for part in (row["server"], row["state"], row.get("code"), row.get("message")) if part))
    return said if len(said) <= _LONGEST_LINE else said[:_LONGEST_LINE - 3] + "..."


def ping_address(url: str, event: str) -> str:
    """Return the address that tells a dead man's switch of I(event): I(url) itself of success, with C(/start) or C(/fail) of the others."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=parts.path.rstrip("/") + _ENDINGS[event] if _ENDINGS[event] else parts.path))


def place(url: str) -> str:
    """Return of I(url) what may be shown: the host, for everything else may be a token."""
    try:
        return urllib.parse.urlsplit(url).hostname or "an address without a host"
    except ValueError:
        return "an address that makes no sense"


def deliver(url: str, body: t.Mapping[str, t.Any] | None, timeout: float) -> str | None:
    """Call I(url), with I(body) as JSON where there is one; return why it was not delivered, or None.

    It never takes longer than I(timeout) seconds, whatever the other side does: name service, connection and answer together. No part of
    I(url) is in what is returned.
    """
    outcome: list[str | None] = []
    # a thread, for nothing else ends a name service that hangs; it is left behind when this process ends
    attempt = threading.Thread(target=lambda: outcome.append(_attempt(url, body, timeout)), daemon=True)
    attempt.start()
    attempt.join(timeout)
    return outcome[0] if outcome else f"no answer within {timeout:g} s"


def _attempt(url: str, body: t.Mapping[str, t.Any] | None, timeout: float) -> str | None:
    data = None if body is None else json.dumps(body, ensure_ascii=True).encode("ascii")
    try:
        open_url(url, data=data, headers={"Content-Type": "application/json"} if data else None, method="POST" if data else "GET", timeout=timeout,
                 http_agent="seafleet.seafile", follow_redirects="safe").read(1)
    except Exception as error:  # pylint: disable=broad-except  # whatever is wrong with the other side is no failure of ours
        # neither the message nor the address of an error is shown: both may hold the token
        status = getattr(error, "code", None)
        return f"it answered {status}" if isinstance(status, int) else _why(error)
    return None


def _why(error: BaseException) -> str:
    """Return the nature of an error without what it says: C(connection refused), C(timed out)."""
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error
    if isinstance(inner, TimeoutError):
        return "it did not answer in time"
    if isinstance(inner, OSError) and inner.strerror and inner.errno:
        return inner.strerror
    return f"it could not be called ({type(inner).__name__})"
