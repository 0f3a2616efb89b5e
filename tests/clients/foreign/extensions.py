"""Extensions of JupyterLab that ask kernels by themselves: what they show beside a notebook."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from ..lab import CHROMIUM_ARGUMENTS
from .place import Place, Results
from .tools import PAGE_TIMEOUT, fresh, serving, write_notebook

_CELLS = (
    "import os, pandas as pd\nprinted = print(os.getpid())",
    "number, text, some = 6 * 7, 'a text', [1, 2, 3]\ntable = pd.DataFrame({'a': [1.5, 2.5]})",
    "some.append(number)\ndel text",
)

# What a command does may take as long as a cell: it is not waited for.
_EXECUTE = "([name, args]) => { window.jupyterapp.commands.execute(name, args); }"


@contextmanager
def _notebook(place: Place, name: str) -> Iterator[Page]:
    """Open a notebook in JupyterLab, with its kernel started."""
    folder = fresh(place, name)
    write_notebook(folder / "cells.ipynb", _CELLS)
    words = ("jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port={port}")
    words += ("--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True")
    with serving(place, folder, *words) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PAGE_TIMEOUT)
        page.goto(f"{url}lab?reset")
        page.locator(".jp-LauncherCard").first.wait_for()
        _execute(page, "docmanager:open", path="cells.ipynb", factory="Notebook")
        _expect_idle(page)
        yield page
        browser.close()


def _execute(page: Page, command: str, **arguments: Any) -> None:
    page.evaluate(_EXECUTE, [command, arguments])


def _expect_idle(page: Page) -> None:
    status_bar = page.locator("#jp-main-statusbar")
    expect(status_bar).to_contain_text("| Idle", timeout=PAGE_TIMEOUT)


def _run_all(page: Page) -> None:
    _execute(page, "notebook:run-all-cells")
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=PAGE_TIMEOUT)
    _expect_idle(page)


def variable_inspector(place: Place) -> Results:
    """Look at the table of variables beside a notebook whose cells are run."""
    results: Results = {}
    with _notebook(place, "inspector") as page:
        _execute(page, "variableinspector:open")
        page.locator(".jp-VarInspector").wait_for()
        # Beside the notebook, as a user puts it: it follows what runs there.
        page.evaluate(
            """() => {
                const shell = window.jupyterapp.shell;
                const widgets = [...shell.widgets('main')];
                const inspector = widgets.find(one => one.title.label === 'Variable Inspector');
                shell.add(inspector, 'main', {mode: 'split-right'});
            }"""
        )
        _execute(page, "docmanager:open", path="cells.ipynb", factory="Notebook")
        _run_all(page)
        table = page.locator(".jp-VarInspector-table")
        expect(table).to_contain_text("[1, 2, 3, 42]", timeout=PAGE_TIMEOUT)
        results["table"] = _words(table.inner_text())
    return results


def resource_usage(place: Place) -> Results:
    """Look at the panel of what a kernel uses, after cells have run."""
    results: Results = {}
    with _notebook(place, "usage") as page:
        _run_all(page)
        page.locator('.lm-TabBar-tab[title="Kernel Usage"]').click()
        panel = page.locator(".jp-KernelUsage-section-separator").first.locator("xpath=..")
        pid = page.locator(".jp-OutputArea-output").first.inner_text().strip()
        expect(panel).to_contain_text(f"Process ID: {pid}", timeout=PAGE_TIMEOUT)
        shown = _words(panel.inner_text()).partition("Timestamp")[2]
        results["panel"] = re.sub(r"[\d.,/:]+( [AP]M| [KMG]?B|%)?", "#", shown)
    return results


def _words(text: str) -> str:
    return " ".join(text.split())
