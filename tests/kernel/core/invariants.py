"""What must hold for a kernel, whatever happens to it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from aca_kernel.kernel import commands as do
from aca_kernel.kernel import events as on

from .world import World

# For one event: so many commands, and so many more for each record and request that it concerns.
COMMANDS_AT_MOST = 16
COMMANDS_EACH = 8

# Exchanges within a second of a kernel in which nothing comes in.
EXCHANGES_AT_MOST = 60


def check(world: World, *, must_end: bool = True) -> None:
    """Raise AssertionError if one of them does not hold. must_end: all requests are to be over."""
    check_requests(world, must_end=must_end)
    check_runs(world)
    check_pace(world)


def check_requests(world: World, *, must_end: bool = True) -> None:
    """Each request hears busy, what it says, one reply on its channel, and one idle, in order."""
    for msg_id, (msg_type, channel) in world.sent.items():
        if channel == "stdin":
            continue
        heard = world.heard(msg_id)
        kinds = [
            one.content["execution_state"] if one.msg_type == "status" else one.msg_type
            for one in heard
        ]
        reply_type = msg_type.replace("_request", "_reply")
        counts = Counter(kinds)
        wants_reply = msg_type.endswith("_request")
        what = f"{msg_id} {msg_type}: {kinds}"
        assert counts["busy"] <= 1, what
        assert counts["idle"] <= 1, what
        assert counts[reply_type] <= wants_reply or not wants_reply, what
        if world.has_exited or not must_end:
            continue
        assert counts["busy"] == counts["idle"] == 1, what
        assert kinds[0] == "busy", what
        if wants_reply:
            assert counts[reply_type] == 1, what
            place = kinds.index(reply_type)
            assert place < kinds.index("idle"), what
            (reply,) = [one for one in heard if one.msg_type == reply_type]
            assert reply.channel == channel, what
            # What is given up here may go on over there.
            assert "stream" not in kinds[place:] or "ename" in reply.content, what
    if must_end and not world.has_exited:
        assert not len(world.core.table)


def check_runs(world: World) -> None:
    """Nothing runs twice, and cells run in the order in which they came."""
    assert len(set(world.ran)) == len(world.ran), world.ran
    cells = [one for one in world.ran if world.sent[one][0] == "execute_request"]
    assert cells == sorted(cells, key=lambda one: int(one[1:])), cells


def check_pace(world: World) -> None:
    """For an event there are a few commands, one exchange at the most, and no storm of them."""
    for event, commands in world.handled:
        concerned = len(getattr(event, "records", ())) + len(world.sent)
        assert len(commands) <= COMMANDS_AT_MOST + COMMANDS_EACH * concerned, event
        assert sum(isinstance(one, do.DoExchange) for one in commands) <= 1, event
    came_in = [
        event.now
        for event, _ in world.handled
        if isinstance(event, (on.Received, on.CarryAsked, on.HostAnswered))
    ]
    came_in = sorted(came_in + world.progress)
    exchanges = sorted(world.exchanges)
    for began in exchanges:
        within = bisect_left(exchanges, began + 1.0) - bisect_left(exchanges, began)
        new = bisect_left(came_in, began + 1.0) - bisect_left(came_in, began - 0.01)
        assert within <= EXCHANGES_AT_MOST + 2 * new, (began, within, new)
