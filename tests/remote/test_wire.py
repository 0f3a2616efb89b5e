"""The wire: frames survive, cuts are noticed, nothing is delivered twice or out of order."""

from __future__ import annotations

import base64
import os
import random

import pytest

from aca_kernel.remote import wire


def records(*texts: bytes) -> list[wire.Record]:
    return [wire.Record({"kind": "msg", "n": n}, (text,)) for n, text in enumerate(texts)]


def joined(pieces: list[bytes | memoryview]) -> str:
    return b"".join(pieces).decode("ascii")


@pytest.mark.parametrize("may_be_text", [False, True])
@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("r", b""),
        ("r", b"x"),
        ("z", b"ab" * 100_000),
        ("r", os.urandom(100_000)),
        ("t", base64.b64encode(os.urandom(100_000))),
    ],
)
def test_a_page_survives_its_frame(form: str, data: bytes, may_be_text: bool) -> None:
    page = wire.Page({"n": 7, "text": "ä\ud800"}, data)
    frame = joined(wire.frame_pieces("abc1", page, may_be_text=may_be_text))
    assert frame.split(":")[2] == (form if may_be_text or form != "t" else "r")
    assert wire.decode_frame(frame) == ("abc1", page)


def test_a_frame_is_found_between_other_output() -> None:
    text = "warning\n" + wire.encode_frame("n1", wire.Page({}, b"data")) + "\nmore~"
    assert wire.decode_frame(text)[1].data == b"data"


def test_a_frame_needs_no_escaping_in_python_or_json() -> None:
    frame = wire.encode_frame("n1", wire.Page({"a": "\"'\\\n"}, os.urandom(5000)))
    assert not set(frame) & set("\"'\\ \n%{}")


def test_text_without_a_frame_is_told_from_a_cut_frame() -> None:
    frame = wire.encode_frame("n1", wire.Page({}, os.urandom(500)))
    with pytest.raises(wire.FrameMissing):
        wire.decode_frame("nothing here")
    for length in range(5, len(frame)):
        with pytest.raises(wire.FrameCut) as cut:
            wire.decode_frame(frame[:length])
        assert cut.value.received == length


def test_a_changed_character_is_noticed() -> None:
    frame = wire.encode_frame("n1", wire.Page({}, b"x" * 300))
    middle = len(frame) // 2
    changed = frame[:middle] + ("A" if frame[middle] != "A" else "B") + frame[middle + 1 :]
    with pytest.raises(wire.FrameCut):
        wire.decode_frame(changed)


def test_a_stream_cut_anywhere_brings_every_record_once_and_in_order() -> None:
    chooser = random.Random(5)
    sender, receiver = wire.SendLog(), wire.ReceiveLog()
    sent = records(*(os.urandom(chooser.randrange(0, 3000)) for _ in range(60)))
    got: list[wire.Record] = []
    waiting = list(sent)
    while len(got) < len(sent):
        for _ in range(chooser.randrange(3)):
            if waiting:
                sender.append(waiting.pop(0))
        page = sender.slice(receiver.received, chooser.randrange(1, 4000))
        # A page may come twice, and may begin before what is known already.
        got += receiver.feed(receiver.received, page)
        again = max(sender.start, receiver.received - chooser.randrange(500))
        got += receiver.feed(again, sender.slice(again, receiver.received - again))
        if chooser.random() < 0.5:
            sender.acknowledge(receiver.received)
    assert [(one.head, one.parts) for one in got] == [(one.head, one.parts) for one in sent]


def test_a_gap_is_refused() -> None:
    receiver = wire.ReceiveLog()
    with pytest.raises(ValueError, match="missing"):
        receiver.feed(5, b"late")


def test_what_is_acknowledged_is_forgotten() -> None:
    sender = wire.SendLog()
    sender.append(records(b"x" * 1000)[0])
    sender.acknowledge(sender.end)
    assert sender.slice(sender.end, 10) == b""
    with pytest.raises(ValueError, match="offset"):
        sender.slice(0, 10)


@pytest.mark.parametrize("content", [b"ab" * 500_000, os.urandom(1_000_000)])
@pytest.mark.parametrize("limit", [512, 4096, 100_000])
def test_a_page_keeps_to_its_limit(content: bytes, limit: int) -> None:
    sender = wire.SendLog()
    sender.append(wire.Record({"kind": "msg"}, (content,)))
    head = {"n": 1234, "got": 10**9, "off": 10**9, "end": 10**9, "pid": 4000000}
    page = wire.fill_page(sender, head, 0, limit)
    assert page.data
    frame = joined(wire.frame_pieces("0123456789ab", page, may_be_text=True))
    assert len(frame) <= limit
    nonce, decoded = wire.decode_frame(frame)
    assert (nonce, decoded.head, decoded.data) == ("0123456789ab", page.head, page.data)


def test_only_whole_records_that_were_not_sent_can_be_taken_back() -> None:
    sender = wire.SendLog()
    ends = [sender.append(record) for record in records(b"a", b"b", b"c")]
    sender.withdraw(ends[0] + 1)
    assert sender.end == ends[1]
    receiver = wire.ReceiveLog()
    got = receiver.feed(0, sender.slice(0, 10_000))
    assert [record.parts for record in got] == [(b"a",), (b"b",)]
    assert [record.end for record in got] == ends[:2]


def test_what_is_taken_back_is_for_front_ends_only() -> None:
    sender = wire.SendLog()
    heads: list[dict[str, object]] = [
        {"kind": "restart"},
        {"kind": "msg"},
        {"kind": "answer", "id": 1},
        {"kind": "interrupt"},
        {"kind": "msg", "keep": True},
    ]
    for head in heads:
        sender.append(wire.Record(head, (b"x" * 10,)))
    sender.withdraw(0)
    sender.append(wire.Record({"kind": "msg"}))
    receiver = wire.ReceiveLog()
    got: list[wire.Record] = []
    while receiver.received < sender.end:  # in pieces, which records do not end with
        got += receiver.feed(receiver.received, sender.slice(receiver.received, 7))
    assert [record.head for record in got] == [heads[0], heads[2], heads[4], {"kind": "msg"}]
    assert got[-1].end == sender.end
