"""What extensions of JupyterLab and consoles ask by themselves: nothing is launched for it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ..support import Cell, Client, Pool, running_kernel, running_pool

# With a cooldown of 2 s, which the kernel knows to have passed.
ARGUMENTS = (
    "--AcaKernel.cooldown_seconds=1",
    "--AcaKernel.checkpoint_after_seconds=0.001",
)

# Of the variable inspector's names, not its text.
SETUP = """
def _jupyterlab_variableinspector_changesettings(maxitems):
    global _limit
    _limit = maxitems
def _jupyterlab_variableinspector_dict_list():
    import json
    return json.dumps(sorted(name for name in globals() if name.startswith("seen"))[:_limit])
"""
SETTINGS = "_jupyterlab_variableinspector_changesettings(maxitems=2)"
QUERY = "_jupyterlab_variableinspector_dict_list()"


@pytest.fixture(scope="module")
def notebook() -> Iterator[tuple[Pool, Client]]:
    """A notebook that is opened with a variable inspector, on a pool of environments."""
    with (
        running_pool(cooldown_seconds=2) as pool,
        running_kernel(pool.env, arguments=ARGUMENTS) as client,
    ):
        yield pool, client


def inspector(client: Client, code: str, **content: Any) -> Cell:
    return client.run(code, stop_on_error=False, **{"store_history": False, **content})


def listed(client: Client) -> Any:
    return json.loads(ast.literal_eval(str(inspector(client, QUERY).result)))


def usage(client: Client) -> dict[str, Any]:
    reply = client.ask("usage_request", {}, "control")["content"]
    return dict(reply)


def prompt(client: Client) -> Any:
    """Return what qtconsole takes for the number of the last prompt."""
    return client.run("", silent=True).reply["content"]["execution_count"]


def test_nothing_is_launched_until_there_is_a_cell(notebook: tuple[Pool, Client]) -> None:
    pool, client = notebook
    assert inspector(client, SETUP, silent=True, store_history=True).status == "ok"
    assert inspector(client, SETTINGS).status == "ok"
    assert listed(client) == []
    assert "the next cell" in usage(client)["reason"]
    assert prompt(client) == 0
    assert pool.uses() == {}

    cell = client.run("seen, seen_too, seen_as_third = 1, 2, 3")
    assert (cell.status, cell.text, cell.said) == ("ok", "", "")
    assert cell.reply["content"]["execution_count"] == 1
    assert prompt(client) == 1
    assert listed(client) == ["seen", "seen_as_third"]
    asked = usage(client)
    assert asked["kernel_memory"] > 1_000_000
    assert str(asked["pid"]) == client.run("import os; os.getpid()").result


def test_nothing_is_launched_after_a_cooldown(notebook: tuple[Pool, Client]) -> None:
    pool, client = notebook
    inspector(client, SETUP, silent=True, store_history=True)
    inspector(client, SETTINGS)
    counted = client.run("seen = 1").reply["content"]["execution_count"]
    pool.wait_for_cooldown()
    before = pool.uses()
    # The list that the user looks at stays.
    assert inspector(client, QUERY).result is None
    assert prompt(client) == counted
    assert "the next cell" in usage(client)["reason"]
    assert pool.uses() == before

    cell = client.run("seen_after = seen")
    assert "came back" in cell.said
    assert cell.reply["content"]["execution_count"] == counted + 1
    assert "seen_after" in listed(client)


def test_a_cell_with_such_names_is_a_cell(notebook: tuple[Pool, Client]) -> None:
    _, client = notebook
    cell = client.run(f"'{QUERY}'")
    assert cell.result == repr(QUERY)
    assert cell.reply["content"]["execution_count"] > 0
