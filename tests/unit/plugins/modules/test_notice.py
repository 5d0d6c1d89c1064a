# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices are delivered, and no other side can fail them, hold them up, or bring a token into the log (fault 66)."""

from __future__ import annotations

import json
import socket
import threading
import time
import types

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import notices
from ansible_collections.seafleet.seafile.plugins.modules import notice
from ansible_collections.seafleet.seafile.tests.hosts.http_listener import Listener

TOKEN = "T0k3n-of-a-webhook"


@pytest.fixture(name="listener")
def _listener():
    with Listener() as listener:
        yield listener


def tell(url, kind="webhook", event="failure", check_mode=False, timeout=60, body=None):
    """What the module says of one notice."""
    params = {"url": url, "kind": kind, "event": event, "body": body or {"text": "x"}, "timeout": timeout}
    return notice.tell(types.SimpleNamespace(params=params, check_mode=check_mode))


def test_a_webhook_is_sent_the_notice_as_json(listener):
    body = {"text": "größe: failed", "event": "failure"}
    told = tell(f"{listener.address}/200/{TOKEN}", body=body)
    assert told == {"changed": False, "delivered": True, "said": "The webhook on 127.0.0.1 was told."}
    assert [(method, path, json.loads(content)) for method, path, content in listener.asked] == [("POST", f"/200/{TOKEN}", body)]


def test_a_ping_is_a_request_without_a_body(listener):
    for event in notices.EVENTS:
        assert tell(f"{listener.address}/200/{TOKEN}", "ping", event)["delivered"]
    assert listener.asked == [("GET", f"/200/{TOKEN}{ending}", b"") for ending in ("/start", "", "/fail")]


def test_in_check_mode_nobody_is_told(listener):
    assert not tell(f"{listener.address}/200/{TOKEN}", check_mode=True)["delivered"] and listener.asked == []


@pytest.mark.parametrize("status, said", [(500, "it answered 500"), (404, "it answered 404"), (302, "it answered 302")])
def test_an_error_of_the_other_side_is_said_and_fails_nothing(listener, status, said):
    told = tell(f"{listener.address}/{status}/{TOKEN}")
    assert told["said"] == f"The webhook on 127.0.0.1 was not told: {said}. The backups are not affected." and not told["delivered"]


def test_a_ping_follows_to_where_it_is_sent(listener):
    assert tell(f"{listener.address}/302/x", "ping", "success")["delivered"]


@pytest.mark.parametrize("status", [0, 1])
def test_another_side_that_hangs_or_never_ends_is_given_up_when_its_time_is_over(listener, status):
    began = time.monotonic()
    told = tell(f"{listener.address}/{status}/{TOKEN}", timeout=1)
    assert not told["delivered"] and ("not answer in time" in told["said"] or "no answer within 1 s" in told["said"])
    assert time.monotonic() - began < 30


def test_a_name_service_that_hangs_is_given_up_too(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *dummy, **more: released.wait())
    assert "no answer within 1 s" in tell(f"https://ping.invalid/{TOKEN}", timeout=1)["said"]
    released.set()


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"https://user:{TOKEN}@ping.invalid/x",
        f"ftp://127.0.0.1:1/{TOKEN}",
        f"nothing {TOKEN}",
        f"http://[{TOKEN}",
        f"http://127.0.0.1:port/{TOKEN}",
        f"http://127.0.0.1:1/{TOKEN}\\r\\nX: y",
        f"unknown://{TOKEN}/",
    ],
)
def test_an_address_that_cannot_be_called_is_said_without_what_may_be_a_token(url):
    told = tell(url)
    assert not told["delivered"] and "was not told: " in told["said"] and (TOKEN not in told["said"] or url.startswith("unknown"))
