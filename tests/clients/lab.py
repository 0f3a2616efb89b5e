"""JupyterLab in a headless Chromium, with the handles that a person has."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from .server import JupyterServer

DISPLAY_NAME = "Python (Azure Container Apps)"

# Without the last of these, Chromium looks for hosts that no test needs.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Milliseconds. A bound for what must happen, not a measurement.
TIMEOUT = 30_000

expect.set_options(timeout=TIMEOUT)

# JupyterLab's word for a restart that comes while it still asks for the debugger's state, as
# it does when a notebook is opened. With ipykernel a person can hardly be quick enough.
_NOT_AN_ERROR = "Could not restore the debugger state: Canceled future for debug_request"


@dataclass
class Lab:
    """One browser window with JupyterLab in it."""

    page: Page
    server: JupyterServer
    screenshots: Path
    # Errors that the page reported, in its console or by an exception.
    errors: list[str] = field(default_factory=list)
    is_reloaded: bool = False

    def shoot(self, name: str) -> None:
        """Keep a picture of the window."""
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command of JupyterLab where a click is not what is tested."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def choose(self, menu: str, entry: str) -> None:
        """Choose an entry of the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{entry}$")).click()

    def launcher_card(self, category: str) -> Locator:
        """The kernel's card in the launcher, which is there when nothing else is open."""
        cards = self.page.locator(f'.jp-LauncherCard[data-category="{category}"]:visible')
        return cards.filter(has_text=DISPLAY_NAME)

    def open(self, name: str, *cells: str) -> Notebook:
        """Open a new notebook of these cells and wait for its kernel."""
        self.server.write_notebook(name, list(cells))
        self.command("docmanager:open", path=name, factory="Notebook")
        return self.notebook()

    def notebook(self) -> Notebook:
        """The notebook in front, with its kernel started."""
        panel = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        notebook = Notebook(self, panel)
        expect(panel.locator(".jp-Toolbar-kernelName")).to_have_text(DISPLAY_NAME)
        notebook.wait_until_idle()
        return notebook

    def start_afresh(self) -> None:
        """Load JupyterLab with nothing open."""
        self.page.goto(f"{self.server.url}lab?reset&token={self.server.token}")
        self.page.locator(".jp-LauncherCard").first.wait_for()
        self.is_reloaded = False

    def reload(self) -> None:
        """Load the page again, as a person does."""
        self.page.reload()
        self.is_reloaded = True

    def close_all(self) -> None:
        """Close what is open, without saving, and end its kernels."""
        if self.is_reloaded:
            # A reloaded JupyterLab opens the notebook that its address names when it gets round
            # to it: after the notebook was closed, as may be.
            self.start_afresh()
            self.server.shut_down_kernels()
            return
        self.page.evaluate(
            """async () => {
                for (const widget of [...window.jupyterapp.shell.widgets('main')]) {
                    await widget.sessionContext?.shutdown();
                    widget.dispose();
                }
            }"""
        )
        expect(self.launcher_card("Notebook")).to_be_visible()


@dataclass
class Notebook:
    """An open notebook."""

    lab: Lab
    panel: Locator

    @property
    def keyboard(self) -> Any:
        return self.lab.page.keyboard

    def cell(self, number: int) -> Locator:
        return self.panel.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def prompt(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-InputPrompt")

    def output(self, number: int) -> Locator:
        # Not what is inside of an Output widget among them.
        children = ".jp-Cell-outputArea > .jp-OutputArea-child > .jp-OutputArea-output"
        return self.cell(number).locator(children)

    def edit(self, number: int) -> None:
        """Put the cursor at the end of a cell."""
        self.cell(number).locator(".cm-content").click()
        self.keyboard.press("Control+End")

    def start(self, number: int) -> None:
        """Run a cell as Shift+Enter does."""
        self.edit(number)
        self.keyboard.press("Shift+Enter")

    def run(self, number: int) -> Locator:
        """Run a cell to its end; return its outputs."""
        self.start(number)
        expect(self.prompt(number)).to_have_text(re.compile(r"\[\d+\]:"))
        return self.output(number)

    def button(self, name: str) -> Locator:
        """A button of the notebook's toolbar, by its name in JupyterLab."""
        return self.panel.locator(f'.jp-NotebookPanel-toolbar [data-jp-item-name="{name}"]')

    def press_tab_until_popup(self) -> Locator:
        """Ask for completions until they are shown.

        JupyterLab drops an answer that takes longer than a second, and Jedi needs longer for
        the first one of a new interpreter, in ipykernel too.
        """
        items = self.lab.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item")
        for _ in range(10):
            self.keyboard.press("Tab")
            with contextlib.suppress(PlaywrightTimeoutError):
                items.first.wait_for(timeout=2_000)
                break
        return items

    def wait_until_idle(self) -> None:
        expect(self.panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle"
        )

    def stray_output(self) -> list[str]:
        """What is shown on stderr: nothing here prints there, so the kernel must not either."""
        selector = '[data-mime-type="application/vnd.jupyter.stderr"]'
        return self.panel.locator(selector).all_inner_texts()


@contextmanager
def browser_window(server: JupyterServer, chromium: str, screenshots: Path) -> Iterator[Lab]:
    """Open JupyterLab of a server."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(TIMEOUT)
            lab = Lab(page, server, screenshots)

            def on_console(message: ConsoleMessage) -> None:
                if message.type == "error" and not message.text.startswith(_NOT_AN_ERROR):
                    lab.errors.append(f"{message.text} ({message.location.get('url')})")

            page.on("console", on_console)
            page.on("pageerror", lambda error: lab.errors.append(str(error)))
            lab.start_afresh()
            yield lab
        finally:
            browser.close()
