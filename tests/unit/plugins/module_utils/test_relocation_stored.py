# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings in the database are rewritten in the form they have, and a pickle is never loaded."""

from __future__ import annotations

import base64
import json
import os
import pickle

import pytest

from ansible_collections.seafleet.seafile.plugins.module_utils import relocation_stored
from ansible_collections.seafleet.seafile.plugins.module_utils.relocation_stored import NotText, replaced, texts


def pickled(value, protocol):
    return base64.b64encode(pickle.dumps(value, protocol)).decode("ascii")


def change(text):
    return text.replace("files.example.org", "cloud.example.net")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", ["https://files.example.org/ü€", "x" * 300 + "files.example.org", "files.example.org\n'\\"])
def test_a_pickled_text_keeps_its_form(value, protocol):
    after = replaced(pickled(value, protocol), change)
    raw = base64.b64decode(after)
    assert pickle.loads(raw) == change(value)
    assert raw[0] == 0x80 and raw[1] == min(protocol, 4) if protocol > 1 else raw[0] != 0x80
    assert texts(after) == [change(value)]


# as Python 2 wrote them, protocols 0 and 2
@pytest.mark.parametrize("raw", [b"S'https://files.example.org'\np0\n.", b"Vhttps://files.example.org\np0\n.", b"\x80\x02U\x19https://files.example.orgq\x00.",
                                 b"\x80\x02X\x19\x00\x00\x00https://files.example.orgq\x00."])
def test_texts_of_python_2_are_known(raw):
    assert pickle.loads(base64.b64decode(replaced(base64.b64encode(raw).decode(), change))) == "https://cloud.example.net"


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (f"{self.path}/files.example.org",)


def test_a_pickle_that_would_run_something_is_left_alone_and_never_run(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        value = pickled(Bomb(str(tmp_path)), protocol)
        with pytest.raises(NotText):
            replaced(value, change)
        assert any("files.example.org" in text for text in texts(value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [True, None, 5, ["files.example.org"], {"a": "files.example.org"}, ("files.example.org",), b"files.example.org"])
def test_other_pickles_are_left_alone(value):
    with pytest.raises(NotText):
        replaced(pickled(value, 2), change)


@pytest.mark.parametrize("value", [
    '"https://files.example.org"', '{"__type__": "default", "__value__": "https://files.example.org"}',
    '{"__type__":"default","__value__":"files.example.org ü"}',
    '["files.example.org", 1, true, null, {"x": "files.example.org"}]'])
def test_json_keeps_its_form(value):
    assert replaced(value, change) == change(value)
    assert json.loads(replaced(value, change))


@pytest.mark.parametrize("value", ["https://files.example.org", "files.example.org", "aGVsbG8=", "files.example.org", "", "5", "abcd", "4d2.", "gAJLBS4"])
def test_plain_text_is_plain_text(value):
    assert replaced(value, change) == change(value)


def test_what_does_not_change_stays_as_it_is_to_the_byte():
    for value in ("{ \"a\" :1}", pickled("x", 0), "  x ", "5", '"\\u00fc"'):
        assert replaced(value, change) == value


def test_bytes_of_no_known_encoding_are_left_alone():
    with pytest.raises(NotText):
        replaced(base64.b64encode(b"\x80\x02U\x03\xc3\xbcaq\x00.").decode(), change)


def test_depth_and_size_have_an_end():
    deep = "[" * 900 + '"files.example.org"' + "]" * 900
    try:
        assert json.loads(replaced(deep, change))
    except NotText:
        pass
    with pytest.raises(NotText):
        relocation_stored.read("x" * (1 << 21))
