"""Random sequences of what front ends do and of what goes wrong: the invariants hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aca_kernel.kernel import events as on
from aca_kernel.remote import wire

from .invariants import check
from .world import FAULTS, LATENCY, World

NewWorld = Callable[..., World]
Act = tuple[Any, ...]

SECONDS = st.sampled_from([0.0, 0.001, 0.004, 0.05, 0.3, 1.0, 2.5, 30.0, 400.0])
CELLS = st.tuples(
    st.just("cell"),
    st.lists(st.sampled_from(["a", "b" * 5000]), max_size=4),
    st.sampled_from([0.0, 0.01, 0.4, 3.0]),
    st.sampled_from(["ok", "ok", "ok", "ZeroDivisionError", "die"]),
    st.booleans(),
)
MESSAGES = st.tuples(
    st.just("message"),
    st.sampled_from(
        [
            *("complete_request", "comm_msg", "kernel_info_request", "usage_request"),
            *("input_reply", "status", "odd"),
        ]
    ),
    st.sampled_from(["shell", "shell", "control", "stdin"]),
    st.sampled_from([0.0, 0.5, 5.0]),
)
OTHERS = st.sampled_from(
    [
        ("interrupt",),
        ("signal",),
        ("expire",),
        ("kill",),
        ("full disk",),
        ("room again",),
        ("break packages",),
        ("leave it to others",),
        ("call",),
        ("carry",),
        ("poke",),
        ("background",),
    ]
)
ACTS = st.lists(
    st.one_of(CELLS, MESSAGES, OTHERS, st.tuples(st.just("wait"), SECONDS)), max_size=14
)
FAULTS_AT = st.dictionaries(st.integers(1, 30), st.sampled_from(FAULTS), max_size=6)


def act(world: World, what: Act) -> None:  # noqa: C901, PLR0912
    agent = world.agent
    match what:
        case ("cell", out, seconds, end, stops):
            world.cell(*out, seconds=seconds, end=end, stop_on_error=stops)
        case ("message", msg_type, channel, seconds):
            world.send(msg_type, {"seconds": seconds}, channel=channel)
        case ("wait", seconds):
            world.run(seconds)
        case ("interrupt",):
            world.interrupt()
        case ("signal",):
            world.tell(on.InterruptAsked(world.clock.now))
        case ("expire",) if agent is not None:
            agent.expire()
        case ("kill",) if agent is not None and agent.kernel is not None:
            agent.kernel.die(-9)
        case ("full disk",):
            world.is_start_impossible = True
        case ("room again",):
            world.is_start_impossible = False
        case ("break packages",):
            broken = world.launches
            world.start_failure = lambda launch, _number: "ImportError" * (launch == broken)
        case ("leave it to others",):
            world.taken_over.add(world.launches + 1)
        case ("call",):
            world.asked.append(wire.Record({"kind": "call", "id": "1", "op": "x"}))
        case ("carry",):
            record = wire.Record({"kind": "get", "id": "1", "name": "x"})
            world.tell(on.CarryAsked(world.clock.now, record, is_urgent=True))
        case ("poke",):
            world.tell(on.Poked(world.clock.now))
        case ("background",) if agent is not None:
            agent.background = True


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    acts=ACTS,
    faults=FAULTS_AT,
    has_checkpoint=st.booleans(),
    latency=st.sampled_from([LATENCY, 0.04]),
)
def test_the_invariants_hold(
    new_world: NewWorld,
    acts: list[Act],
    faults: dict[int, str],
    has_checkpoint: bool,
    latency: float,
) -> None:
    world = new_world(faults=faults, has_checkpoint=has_checkpoint, latency=latency)
    for one in acts:
        act(world, one)
        check(world, must_end=False)
    world.settle(7200.0)
    check(world)
    world.run(100.0)
    before = world.calls
    world.run(3600.0)
    assert world.calls - before <= 1
