"""A batch decides by the reasons that the kernel's messages carry, whatever their sentences say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import nbformat
import pytest

from aca_kernel.batch.client import BatchClient, EnvironmentLost, KernelFailed
from aca_kernel.batch.kernels import Target
from aca_kernel.settings import AcaKernel


def client_of(tell: Callable[[str], None] = lambda _: None) -> BatchClient:
    return BatchClient(
        nbformat.v4.new_notebook(),
        Target("aca", "python", AcaKernel()),
        folder=".",
        timeout_seconds=None,
        allow_errors=True,
        tell=tell,
        on_cell=lambda _: None,
        on_end=lambda *_: None,
    )


def reply(**metadata: str) -> dict[str, Any]:
    content = {"status": "error", "ename": "Wortlaut", "evalue": "Etwas ist geschehen."}
    return {"content": content, "metadata": metadata}


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("environment-gone", EnvironmentLost),
        ("remote-kernel-died", EnvironmentLost),
        ("remote-kernel-exited", KernelFailed),
        ("pool-unreachable", KernelFailed),
        ("result-unknown", KernelFailed),
        ("of-a-later-version", KernelFailed),
        ("", KernelFailed),
    ],
)
def test_a_failure_of_the_kernel_is_told_by_its_reason(
    reason: str, outcome: type[Exception]
) -> None:
    failed = reply(aca_kernel="failure", aca_kernel_reason=reason)
    with pytest.raises(outcome, match="Wortlaut: Etwas ist geschehen"):
        client_of()._note_error(nbformat.v4.new_code_cell(), failed)


def test_an_error_of_the_users_code_is_none_of_the_kernels_whatever_it_is_called() -> None:
    client = client_of()
    failed = reply(aca_kernel_reason="environment-gone")
    failed["content"]["ename"] = "EnvironmentGone"
    client._note_error(nbformat.v4.new_code_cell(), failed)
    assert [error.ename for error in client.errors] == ["EnvironmentGone"]


def notice(**metadata: str) -> dict[str, Any]:
    content = {"name": "stderr", "text": "Etwas ist\ngeschehen.\n"}
    marks = {"aca_kernel": "notice", **metadata}
    return {"msg_type": "stream", "content": content, "metadata": marks, "parent_header": {}}


def test_what_earlier_cells_have_made_is_lost_if_the_reason_says_so() -> None:
    told: list[str] = []
    client = client_of(told.append)
    cell = nbformat.v4.new_code_cell()

    async def take(message: dict[str, Any]) -> None:
        client.process_message(message, cell, 0)

    asyncio.run(take(notice(aca_kernel_reason="pool-busy")))
    asyncio.run(take(notice()))
    client._check_going_on()
    asyncio.run(take(notice(aca_kernel_reason="state-lost")))
    with pytest.raises(EnvironmentLost):
        client._check_going_on()
    assert told == ["Etwas ist geschehen."] * 2
