"""Large texts in JSON are what the standard encoder would make of them."""

from __future__ import annotations

import json

import pytest

from aca_kernel.localpool.json_text import LargeText, dump, text_of

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"


@pytest.mark.parametrize(
    "data", [_PRINTABLE * 1000, b'\\"\n' * 50_000, b"x" * (1 << 16), b"\\n" * 50_000]
)
def test_a_large_text_is_copied_and_reads_the_same(data: bytes) -> None:
    text = text_of(data)
    assert isinstance(text, LargeText)
    assert len(text) == len(data)
    value = {"stdout": text, "stderr": "", "other": [1, text, None]}
    expected = {"stdout": data.decode(), "stderr": "", "other": [1, data.decode(), None]}
    assert json.loads(dump(value)) == expected


@pytest.mark.parametrize("rest", [b"\x00", b"\t", b"\x1b[0m", "é".encode(), b"\xff"])
def test_what_the_encoder_must_look_at_is_left_to_it(rest: bytes) -> None:
    data = b"x" * (1 << 17) + rest
    text = text_of(data)
    assert text == data.decode("utf-8", "replace")
    assert json.loads(dump({"stdout": text})) == {"stdout": text}


def test_small_texts_and_other_values_are_plain_json() -> None:
    value = {"stdout": text_of(b"a\n"), "list": [1, 2.5, None, True, "é"]}
    assert dump(value) == json.dumps(value).encode()
    with pytest.raises(TypeError):
        dump({"stdout": object()})
