"""`%aca packages`: what was installed, and the cell that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aca_kernel.remote.packages import script_metadata

from ..support import Client, running_kernel
from .index import PIP_INSTALL, Index, serving, wheel


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    one = Index()
    one.add(wheel("aca-alpha", "2.0", needs=["aca-beta"]))
    one.add(wheel("aca-beta", "1.0"))
    one.add(wheel("aca-gamma", "1.0"))
    with serving(one):
        yield one


@pytest.fixture(scope="module")
def kernel(index: Index) -> Iterator[Client]:
    with running_kernel(arguments=(f"--AcaKernel.packages_index_url={index.url}",)) as one:
        yield one


def test_nothing_is_said_to_be_nothing(kernel: Client) -> None:
    cell = kernel.run("%aca packages --write")
    assert cell.text == "Nothing was installed beside what the environment began with.\n"
    assert cell.reply["content"]["payload"] == []


def test_what_was_installed_is_listed_with_a_block_that_asks_for_it(
    kernel: Client, index: Index
) -> None:
    assert kernel.run(f"{PIP_INSTALL} -i {index.url} aca-alpha aca-gamma").status == "ok"
    cell = kernel.run("%aca packages")
    assert cell.text.startswith("aca-alpha  2.0\naca-beta   1.0\naca-gamma  1.0\n")
    wanted = script_metadata.of_cell(cell.text)
    assert wanted is not None
    # What another one needs comes with it.
    assert wanted.requirements == ("aca-alpha==2.0", "aca-gamma==1.0")
    assert kernel.run(f"import sys, platform\n{cell.text[cell.text.index('# ///') :]}").said == ""


def test_the_block_is_written_into_the_next_cell(kernel: Client, index: Index) -> None:
    cell = kernel.run("%aca packages --write")
    (payload,) = cell.reply["content"]["payload"]
    assert payload["source"] == "set_next_input"
    assert script_metadata.of_cell(payload["text"]) is not None


def test_an_option_that_there_is_not_is_told(kernel: Client) -> None:
    cell = kernel.run("%aca packages --wrong")
    assert "`%aca packages` has no option --wrong. It is written `%aca packages [--write]`" in (
        cell.evalue
    )
