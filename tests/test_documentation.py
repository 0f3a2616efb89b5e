"""The README says what the program says: its tables are held against the code."""

from __future__ import annotations

import argparse
import ast
import logging
import re
from pathlib import Path

import pytest

from aca_kernel.checkpoint import wording
from aca_kernel.checkpoint.carrier import Carrier
from aca_kernel.checkpoint.checkpoints import Checkpoints
from aca_kernel.checkpoint.store import Store
from aca_kernel.cli import _COMMANDS, _Group, run
from aca_kernel.cli.doctor import check_azure, check_environment, check_network, check_pool
from aca_kernel.kernel.recovery import Recovery
from aca_kernel.localpool import options, serve
from aca_kernel.settings import VARIABLES, AcaKernel

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(first_column: str) -> dict[str, str]:
    """Return a table of the README: the first cell of each row, without marks, to the second."""
    lines = README.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows: dict[str, str] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1]
    return rows


def sentences_of_the_package() -> list[str]:
    """Return every text in the package's source, with … for what is filled in at run time."""
    texts: list[str] = []
    for path in (ROOT / "aca_kernel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
                texts.append("…".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_settings_table_lists_every_setting_in_order() -> None:
    traits = AcaKernel.class_own_traits(config=True)
    assert list(table("setting")) == [name for name in vars(AcaKernel) if name in traits]


@pytest.mark.parametrize("name", VARIABLES)
def test_settings_table_names_the_environment_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"`{VARIABLES[name]}`" in table("setting")[name]
    monkeypatch.setenv(VARIABLES[name], "https://set.example")
    assert getattr(AcaKernel(), name) == "https://set.example"


def test_command_table_lists_every_command_for_pools_in_azure() -> None:
    pool = _COMMANDS["pool"]
    assert isinstance(pool, _Group)
    assert set(table("command")) == {f"aca-kernel pool {name}" for name in pool.commands} - {
        "aca-kernel pool serve"
    }


def test_settings_table_gives_the_defaults() -> None:
    traits = AcaKernel.class_own_traits(config=True)
    stated = {
        name: default.strip("`")
        for name, default in table("setting").items()
        if name not in VARIABLES
    }
    assert stated == {name: str(traits[name].default_value) for name in stated}


def test_pool_table_lists_every_option() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    serve.add_arguments(parser)
    offered = {option for action in parser._actions for option in action.option_strings}
    assert set(table("option")) == offered


def test_table_of_run_lists_every_argument_in_order() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    run.add_arguments(parser)
    rows = table("argument")
    listed = [re.findall(r"(?<![\w-])--?\w[\w-]*", row) for row in rows]
    assert listed == [action.option_strings for action in parser._actions]
    assert rows["--retries N"] == str(parser.get_default("retries"))


def test_quirk_table_lists_every_quirk() -> None:
    assert list(table("quirk")) == options.quirk_names()


@pytest.mark.parametrize("message", table("message"))
def test_troubleshooting_quotes_what_the_program_says(message: str) -> None:
    pattern = re.compile(".*?".join(re.escape(part.strip()) for part in message.split("…")))
    assert any(pattern.search(text) for text in sentences_of_the_package()), message


def test_check_table_lists_every_check_of_the_doctor_in_order() -> None:
    listed = [name for cell in table("check") for name in re.findall(r"[a-z-]+", cell)]
    embedded = [step.name for step in check_pool.steps_to_embedded()]
    azure = [step.name for step in (*check_network.steps("azure", str), *check_azure.steps())]
    common = [
        step.name
        for step in (
            *check_network.steps("pool", str),
            *check_pool.steps(),
            *check_environment.steps(),
        )
    ]
    assert listed == ["kernelspec", "settings", *embedded, *azure, *common]


def test_readme_has_each_command_of_ci_once() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).splitlines()
    assert len([line for line in lines if re.match(r"pip install .*&& pytest$", line)]) == 1
    assert (
        len([line for line in lines if re.match(r"pip install .*&& jupyter execute ", line)]) == 1
    )


def test_documents_name_no_folder_that_does_not_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for path in re.findall(r"`((?:aca_kernel|tests|notebooks|kernelspec|\.ci)/[\w./]*)`", text):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_the_sentence_after_the_cooldown_is_the_programs() -> None:
    settings, log, told = AcaKernel(), logging.getLogger("test"), list[str]()
    carrier = Carrier("session", "user", lambda: None)
    checkpoints = Checkpoints(Store("none", ""), carrier, settings, log)
    recovery = Recovery(checkpoints, settings, told, log)
    recovery.lost_environment(41 * 60)
    reason = "it is, or holds, a Connection, which cannot be stored"
    report = {"variables": 12, "files": 3, "seconds": 1.2, "missing": [["connection", reason]]}
    recovery.tell(wording.restored(report, 0))
    assert told[0] in " ".join(README.split())
