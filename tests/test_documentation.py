"""README and docs/ say what the program says: tables, commands and links are held against it."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import logging
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from aca_kernel import __version__
from aca_kernel.checkpoint import wording
from aca_kernel.cli import _COMMANDS, main, run
from aca_kernel.cli.doctor import check_azure, check_environment, check_network, check_pool
from aca_kernel.kernel.recovery import Recovery
from aca_kernel.kernel.shared import Shared
from aca_kernel.localpool import options, serve
from aca_kernel.settings import VARIABLES, AcaKernel

from .clients.foreign.__main__ import parts_of
from .clients.foreign.differences import DIFFERENCES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
# By their paths, as a link names them.
DOCUMENTS = {
    "README.md": README,
    "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    **{f"docs/{name}.md": text for name, text in PAGES.items()},
}


def table(page: str, first_column: str) -> dict[str, str]:
    """Return a table of a page: the first cell of each row, without marks, to the second."""
    lines = PAGES[page].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows: dict[str, str] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1]
    return rows


@cache
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
    assert list(table("settings", "setting")) == [
        name for name in vars(AcaKernel) if name in traits
    ]


@pytest.mark.parametrize("name", VARIABLES)
def test_settings_table_names_the_environment_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"`{VARIABLES[name]}`" in table("settings", "setting")[name]
    monkeypatch.setenv(VARIABLES[name], "https://set.example")
    assert getattr(AcaKernel(), name) == "https://set.example"


def test_command_table_lists_every_command_for_pools_in_azure() -> None:
    _, commands = _COMMANDS["pool"]
    assert isinstance(commands, dict)
    offered = {f"aca-kernel pool {name}" for name in commands} - {"aca-kernel pool serve"}
    assert set(table("azure", "command")) == offered


def test_settings_table_gives_the_defaults() -> None:
    traits = AcaKernel.class_own_traits(config=True)
    stated = {
        name: default.strip("`")
        for name, default in table("settings", "setting").items()
        if name not in VARIABLES
    }
    assert stated == {name: str(traits[name].default_value) for name in stated}


def test_pool_table_lists_every_option() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    serve.add_arguments(parser)
    offered = {option for action in parser._actions for option in action.option_strings}
    assert set(table("local-pool", "option")) == offered


def test_table_of_run_lists_every_argument_in_order() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    run.add_arguments(parser)
    rows = table("batch", "argument")
    listed = [re.findall(r"(?<![\w-])--?\w[\w-]*", row) for row in rows]
    assert listed == [action.option_strings for action in parser._actions]
    assert rows["--retries N"] == str(parser.get_default("retries"))


def test_quirk_table_lists_every_quirk() -> None:
    assert list(table("local-pool", "quirk")) == options.quirk_names()


@pytest.mark.parametrize("message", table("troubleshooting", "message"))
def test_troubleshooting_quotes_what_the_program_says(message: str) -> None:
    pattern = re.compile(".*?".join(re.escape(part.strip()) for part in message.split("…")))
    assert any(pattern.search(text) for text in sentences_of_the_package()), message


def test_the_table_of_tools_has_the_versions_that_are_run() -> None:
    parts = parts_of(testbook=ROOT)
    pinned = [part.requirements[0].partition("==")[2] for part in parts.values()]
    assert list(table("clients", "tool | version").values()) == pinned
    assert set(DIFFERENCES) <= set(parts)


def test_check_table_lists_every_check_of_the_doctor_in_order() -> None:
    cells = table("troubleshooting", "check")
    listed = [name for cell in cells for name in re.findall(r"[a-z-]+", cell)]
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
    folders = r"aca_kernel|docs|findings|tests|notebooks|kernelspec|\.ci"
    for name, text in DOCUMENTS.items():
        for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", text):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_the_sentence_after_the_cooldown_is_the_programs() -> None:
    shared = Shared(logging.getLogger("test"))
    recovery = Recovery(shared, AcaKernel().restore)
    recovery.lost_environment(41 * 60)
    reason = "it is, or holds, a Connection, which cannot be stored"
    report = {"variables": 12, "files": 3, "seconds": 1.2, "missing": [["connection", reason]]}
    recovery.tell(wording.restored(report, 0))
    assert shared.notices[0] in " ".join(PAGES["state"].split())


# -- commands, as they are written ------------------------------------------------------


def code_lines(text: str) -> Iterator[str]:
    """Yield the lines of shell in a document, those that are continued as one."""
    for block in re.findall(r"^```(?:sh|powershell)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def commands() -> list[str]:
    """Return each line of shell that runs `aca-kernel`."""
    lines = [line for text in DOCUMENTS.values() for line in code_lines(text)]
    found = sorted({line for line in lines if line.startswith("aca-kernel ")})
    assert len(found) > 5
    return found


def mentioned() -> list[str]:
    """Return each command in a running text."""
    texts = [re.sub(r"```.*?```", "", text, flags=re.DOTALL) for text in DOCUMENTS.values()]
    found = {" ".join(one.split()) for text in texts for one in re.findall(r"`([^`]+)`", text)}
    return sorted(one for one in found if one.startswith("aca-kernel "))


def module_of(words: list[str]) -> str | None:
    """Return the module of the subcommand that a command line names; None for a group."""
    known: object = _COMMANDS
    for word in words:
        if isinstance(known, dict):
            if not re.fullmatch(r"[a-z-]+", word) or word.startswith("-"):
                break
            _, known = known[word]
    return importlib.util.resolve_name(known, "aca_kernel.cli") if isinstance(known, str) else None


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood_as_they_are_written(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(line, comments=True)[1:]
    name = module_of(words)
    assert name is not None
    monkeypatch.setattr(importlib.import_module(name), "run", lambda _: 0)
    assert main(words) == 0


@pytest.mark.parametrize("command", mentioned())
def test_commands_in_a_text_exist_with_their_options(command: str) -> None:
    words = shlex.split(command)[1:]
    name = module_of(words)
    if name is None:
        assert all(word.isupper() or word in {"--help", "--version"} for word in words[-1:]) or (
            words[-1] in _COMMANDS
        )
        return
    parser = argparse.ArgumentParser()
    importlib.import_module(name).add_arguments(parser)
    offered = {option for action in parser._actions for option in action.option_strings}
    assert {word for word in words if word.startswith("-")} <= offered


# -- links, and what a reader is led to -------------------------------------------------


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, by GitHub's rule."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_something(name: str) -> None:
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = folder / path if path else ROOT / name
        assert there.is_file(), target
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), target


def test_the_readme_is_short_and_leads_to_each_page() -> None:
    assert len(README.splitlines()) <= 150
    for name in PAGES:
        # With the path as the text: where the README is shown elsewhere, links are dead.
        assert f"[docs/{name}.md](docs/{name}.md)" in README


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(path.stat().st_size < 150_000 for path in pictures)


def test_the_changelog_has_this_version_below_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, second, *_ = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", second)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_begins_with_the_question_that_it_answers(name: str) -> None:
    assert re.fullmatch(r"# [A-Z].*\?", PAGES[name].splitlines()[0])


@pytest.mark.parametrize(
    ("question", "page", "answer"),
    [
        ("with endpoint and key", "azure", "export ACA_MCP_ENDPOINT="),
        ("What survives the cooldown", "state", "| what | survives |"),
        ("what does a place cost", "azure", "increments of one"),
        ("get a data file into a cell", "files", "`%aca upload data.csv`"),
        ("when the pool is full", "troubleshooting", "## The pool is full"),
        ("kept from reading my machine", "security", "To keep an environment from reading"),
    ],
)
def test_the_readme_leads_to_what_is_asked_most(question: str, page: str, answer: str) -> None:
    paragraphs = re.split(r"\n\n|\n(?=\|)", README)
    assert any(question in one and f"](docs/{page}.md" in one for one in paragraphs)
    assert answer in PAGES[page]
