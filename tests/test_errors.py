"""Every error of ours has a reason of its own, and the front end's name for it leads to that."""

from __future__ import annotations

from collections.abc import Iterator

from aca_kernel import errors


def all_errors(kind: type[errors.AcaKernelError] = errors.AcaKernelError) -> Iterator[type]:
    for special in kind.__subclasses__():
        if special.__module__ == errors.__name__:
            yield special
            yield from all_errors(special)


def test_no_two_errors_have_one_reason_and_each_stands_in_the_tree() -> None:
    kinds = list(all_errors())
    reasons = [kind.reason for kind in kinds]
    assert len(set(reasons)) == len(reasons) > 20
    assert "error" not in reasons
    assert all(f"─ {kind.__name__} " in errors.__doc__ for kind in kinds)


def test_the_name_that_a_cell_shows_leads_to_the_reason() -> None:
    assert errors.reason_of("EnvironmentGone") == "environment-gone"
    assert errors.reason_of("KeyboardInterrupt") == "wait-interrupted"
    # Two errors have this name; only who knows which of them it is gives the special reason.
    assert errors.RemoteKernelExited.ename == "RemoteKernelDied"
    assert errors.reason_of("RemoteKernelDied") == "remote-kernel-died"
    assert errors.reason_of("ZeroDivisionError") == "error"
