"""Large JSON is read and written as the standard library does it."""

from __future__ import annotations

import base64
import copy
import json
import os
from datetime import datetime, timezone
from typing import Any

import pytest
from jupyter_client.session import json_packer

from aca_kernel.remote import large_json

_IMAGE = base64.b64encode(os.urandom(600_000)).decode()
_LONG = {
    "image": _IMAGE,
    "escapes": 'say "hi" \\ / \n\r\t\b\f ' + _IMAGE + '\\"\\',
    "backslashes": "\\" * 1001 + _IMAGE + "\\" * 1000,
    "other alphabets": "ä€😀" * 100_000,
    "half a pair": "\ud800" + _IMAGE,
    "many lines": "line\n" * 200_000,
    "many quotes": '"' * 500_000,
}


@pytest.mark.parametrize("name", _LONG)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_long_string_reads_the_same(name: str, ensure_ascii: bool) -> None:
    text = _LONG[name]
    for value in (
        {"result": {"structuredContent": {"stdout": text, "n": 1}, "isError": False}, "id": 2},
        {"a": [1, {"b": text}], "c": None},
        {text: 1},
        [text],
        text,
    ):
        data = json.dumps(value, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
        assert large_json.loads(data) == json.loads(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "' + b"x" * 400_000,
        b'{"a": "' + b"x" * 400_000 + b'"',
        b"x" * 400_000,
        b'"' * 400_001,
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 1|Unterminated"):
        large_json.loads(data)


def test_the_long_string_is_not_left_to_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    decode = json.loads

    def note_size(data: bytes) -> Any:
        seen.append(len(data))
        return decode(data)

    data = json.dumps({"stdout": _LONG["escapes"]}).encode()
    monkeypatch.setattr(json, "loads", note_size)
    assert large_json.loads(data) == {"stdout": _LONG["escapes"]}
    assert max(seen) < 100


_MESSAGES: list[Any] = [
    {"data": {"image/png": _IMAGE, "text/plain": "<Image>"}, "metadata": {}, "transient": {}},
    {"name": "stdout", "text": "a line\n" * 100_000},
    {"name": "stdout", "text": '\\"quoted"\\\n' * 50_000},
    {"name": "stdout", "text": "a\ttab" + _IMAGE},
    {"name": "stdout", "text": "\x1b[31mred\x1b[0m\r\x7f\x00" + _IMAGE},
    {"name": "stdout", "text": "ä€😀" * 100_000},
    {"name": "stdout", "text": "\udcff" + _IMAGE},
    {"data": {"state": {"value": {"deep": _IMAGE}}}},
    {"two": _IMAGE, "more": {"of": _IMAGE + "\n"}},
    {_IMAGE: 1, "list": [_IMAGE], "small": "x", "none": None, "number": 1.5},
    {"when": datetime(2026, 1, 2, tzinfo=timezone.utc), "text": _IMAGE},
    [_IMAGE],
    _IMAGE,
    {},
]


@pytest.mark.parametrize("number", range(len(_MESSAGES)))
def test_a_message_is_packed_as_jupyter_client_does(number: int) -> None:
    message = _MESSAGES[number]
    before = copy.deepcopy(message)
    assert large_json.quick_packer(json_packer)(message) == json_packer(message)
    assert message == before


def test_a_long_text_is_not_left_to_the_encoder() -> None:
    seen: list[int] = []

    def pack(value: Any) -> bytes:
        packed: bytes = json_packer(value)
        seen.append(len(packed))
        return packed

    for message in _MESSAGES[:3]:
        large_json.quick_packer(pack)(message)
    assert max(seen) < 200


def test_another_packer_than_json_is_left_alone() -> None:
    message = {"text": _IMAGE}
    assert large_json.quick_packer(lambda value: repr(value).encode())(message) == (
        repr(message).encode()
    )
