"""What a person sees who uses the kernel in JupyterLab."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect

from ..packages.index import Index, serving, wheel
from .lab import DISPLAY_NAME, Lab, browser_window
from .server import running_server

_ROOT = Path(__file__).resolve().parents[2]

_CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no program `chromium`")


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab and one browser for all tests."""
    folder = tmp_path_factory.mktemp("lab")
    screenshots = Path(os.environ.get("ACA_SCREENSHOTS") or folder / "screenshots")
    screenshots.mkdir(parents=True, exist_ok=True)
    assert _CHROMIUM is not None
    with (
        running_server(
            folder, "--LabApp.expose_app_in_browser=True", module="jupyterlab"
        ) as server,
        browser_window(server, _CHROMIUM, screenshots) as lab,
    ):
        yield lab


@pytest.fixture
def lab(window: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The window without anything open; afterwards, no error may have been reported."""
    window.close_all()
    window.errors.clear()
    yield window
    window.shoot(f"{request.node.name}-end")
    assert window.errors == []


def test_the_launcher_offers_the_kernel_with_its_logo(lab: Lab) -> None:
    for category in ("Notebook", "Console"):
        card = lab.launcher_card(category)
        expect(card).to_be_visible()
        logo = card.locator("img.jp-Launcher-kernelIcon")
        expect(logo).to_be_visible()
        assert logo.evaluate("image => image.naturalWidth") > 0


def test_a_new_notebook_from_the_launcher_runs_what_is_typed(lab: Lab) -> None:
    lab.launcher_card("Notebook").click()
    notebook = lab.notebook()
    notebook.edit(0)
    notebook.keyboard.type("6 * 7")
    expect(notebook.run(0)).to_have_text("42")
    assert notebook.stray_output() == []


def test_the_kernel_can_be_chosen_for_a_notebook(lab: Lab) -> None:
    notebook = lab.open("chosen.ipynb", "1")
    notebook.button("kernelName").click()
    dialog = lab.page.locator(".jp-Dialog")
    assert DISPLAY_NAME in dialog.locator("select option").all_inner_texts()
    lab.shoot("kernel-picker")
    dialog.get_by_role("button", name="Cancel").click()


def test_run_all_runs_cells_in_order_with_every_kind_of_output(lab: Lab) -> None:
    notebook = lab.open(
        "all.ipynb",
        "import matplotlib.pyplot as plt\nimport pandas as pd",
        "print('printed')\n'returned'",
        "pd.DataFrame({'name': ['Ada', 'Grace'], 'born': [1815, 1906]})",
        "plt.figure(figsize=(4, 2))\nplt.plot([1, 3, 2])\nplt.title('A figure')\nplt.show()",
        "%%time\nsum(range(1000))",
        "!echo from the $(echo shell)",
        "%%capture captured\nprint('kept')",
        "captured.stdout",
        "from IPython.display import HTML\nHTML('<b>bold</b>')",
    )
    lab.choose("Run", "Run All Cells")
    expect(notebook.prompt(8)).to_have_text("[9]:")
    for number in range(9):
        expect(notebook.prompt(number)).to_have_text(f"[{number + 1}]:")
    expect(notebook.output(0)).to_have_count(0)
    expect(notebook.output(1)).to_have_text(["printed", "'returned'"])
    expect(notebook.output(2).locator("th", has_text="born")).to_be_visible()
    figure = notebook.output(3).locator("img")
    figure.scroll_into_view_if_needed()
    lab.shoot("figure")
    assert figure.evaluate("image => image.naturalWidth") > 100
    expect(notebook.output(4)).to_have_text([re.compile("Wall time: "), "499500"])
    expect(notebook.output(5)).to_have_text("from the shell")
    expect(notebook.output(6)).to_have_count(0)
    expect(notebook.output(7)).to_have_text("'kept\\n'")
    expect(notebook.output(8).locator("b")).to_have_text("bold")
    assert notebook.stray_output() == []


def test_a_notebook_brings_its_packages_and_writes_them_down(lab: Lab) -> None:
    index = Index()
    index.add(wheel("aca-alpha", "2.0"))
    with serving(index):
        notebook = lab.open(
            "packages.ipynb",
            '# /// script\n# requires-python = ">=3.9"\n# dependencies = ["aca-alpha"]\n'
            f'# [[tool.uv.index]]\n# url = "{index.url}"\n# ///\n1',
            "import aca_alpha\naca_alpha.__version__",
            "%aca packages --write",
        )
        lab.choose("Run", "Run All Cells")
        expect(notebook.prompt(2)).to_have_text("[3]:")
        expect(notebook.output(0)).to_have_text([re.compile("Installed in .*: aca-alpha 2.0"), "1"])
        expect(notebook.output(1)).to_have_text("'2.0'")
        expect(notebook.cell(3)).to_contain_text("aca-alpha==2.0")


def test_the_readme_shows_this_picture(lab: Lab) -> None:
    """`ACA_PICTURE=docs/images/jupyterlab.png` keeps it: look at it before it is committed."""
    code = nbformat.v4.new_code_cell
    cells = [
        nbformat.v4.new_markdown_cell("# Cells of this notebook run in a session pool"),
        code("import getpass, os\ngetpass.getuser(), os.getcwd()"),
        code(
            "import pandas as pd\n"
            'sales = pd.read_csv("sales.csv")  # lies beside the notebook, is sent when opened\n'
            "sales.head(3)"
        ),
        code('ax = sales.plot.barh("city", "revenue", figsize=(6, 2), title="Revenue by city")'),
    ]
    rows = ["city,units,revenue", "Lisbon,12,30.0", "Oslo,18,54.0", "Turin,19,38.0"]
    (lab.server.root / "sales.csv").write_text("\n".join(rows) + "\n")
    metadata = {"kernelspec": {"name": "aca", "display_name": "aca", "language": "python"}}
    written = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(written, lab.server.root / "sales.ipynb")
    lab.command("docmanager:open", path="sales.ipynb", factory="Notebook")
    notebook = lab.notebook()
    lab.choose("Run", "Run All Cells")
    expect(notebook.prompt(2)).to_have_text("[3]:")
    # In the sandbox, not on this machine.
    expect(notebook.output(0)).to_have_text("('ubuntu', '/mnt/data')")
    expect(notebook.output(1).locator("th", has_text="units")).to_be_visible()
    notebook.output(2).locator("img").wait_for()
    notebook.wait_until_idle()
    lab.command("docmanager:save")
    lab.command("application:toggle-left-area")
    notebook.prompt(0).click()
    lab.page.mouse.move(0, 0)
    # The tests' own working directory is another.
    given = os.environ.get("ACA_PICTURE")
    place = _ROOT / given if given else lab.screenshots / "picture.png"
    try:
        lab.page.screenshot(path=place, animations="disabled")
    finally:
        lab.command("application:toggle-left-area")
    # A screen has few colours: a palette of them makes the file a third as large.
    with Image.open(place) as picture:
        picture.convert("RGB").quantize(128).save(place, optimize=True)
    assert place.stat().st_size < 150_000
    assert notebook.stray_output() == []


def test_output_appears_while_the_cell_runs_and_the_button_interrupts_it(lab: Lab) -> None:
    notebook = lab.open(
        "loop.ipynb",
        "import time\nfor n in range(10_000):\n    print('tick', n)\n    time.sleep(0.1)",
        "n > 3",
    )
    notebook.start(0)
    expect(notebook.output(0)).to_contain_text("tick 3\n")
    expect(notebook.prompt(0)).to_have_text("[*]:")
    lab.shoot("live-output")
    expect(notebook.output(0)).to_contain_text("tick 6\n")
    notebook.button("interrupt").click()
    expect(notebook.output(0).last).to_contain_text("KeyboardInterrupt")
    expect(notebook.prompt(0)).to_have_text("[1]:")
    expect(notebook.run(1)).to_have_text("True")


def test_tab_completes_the_name_of_a_remote_variable(lab: Lab) -> None:
    notebook = lab.open(
        "completion.ipynb", "remote_apple, remote_pear = {'kind': 'fruit'}, 2", "remote_"
    )
    notebook.run(0)
    notebook.edit(1)
    items = notebook.press_tab_until_popup()
    expect(items).to_have_text([re.compile("remote_apple"), re.compile("remote_pear")])
    lab.shoot("completion")
    notebook.keyboard.press("ArrowDown")
    notebook.keyboard.press("Enter")
    expect(items).to_have_count(0)
    notebook.keyboard.press("Shift+Enter")
    expect(notebook.output(1)).to_have_text("2")


def test_shift_tab_shows_what_a_remote_function_is(lab: Lab) -> None:
    notebook = lab.open(
        "inspection.ipynb",
        'def farewell(name: str) -> str:\n    """Say goodbye."""\n    return name',
        "farewell",
    )
    notebook.run(0)
    notebook.edit(1)
    notebook.keyboard.press("Shift+Tab")
    tooltip = lab.page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("farewell(name: str) -> str")
    expect(tooltip).to_contain_text("Say goodbye.")
    lab.shoot("inspection")
    notebook.keyboard.press("Escape")


def test_a_slider_moves_and_its_callback_prints(lab: Lab) -> None:
    notebook = lab.open(
        "widgets.ipynb",
        "import ipywidgets\n"
        "slider = ipywidgets.IntSlider(value=3, max=10, description='Apples')\n"
        "printed = ipywidgets.Output()\n"
        "@printed.capture()\n"
        "def on_change(change):\n"
        "    print('from', change['old'], 'to', change['new'])\n"
        "slider.observe(on_change, 'value')\n"
        "ipywidgets.VBox([slider, printed])",
        "slider.value",
        "slider.value = 9",
        "@ipywidgets.interact(n=(0, 5))\ndef square(n=2):\n    print(n, 'squared is', n * n)",
    )
    notebook.run(0)
    handle = notebook.output(0).locator(".noUi-handle")
    handle.focus()
    notebook.keyboard.press("ArrowRight")
    expect(notebook.output(0)).to_contain_text("from 3 to 4")
    expect(notebook.output(0).locator(".widget-readout")).to_have_text("4")
    handle.focus()
    notebook.keyboard.press("ArrowRight")
    expect(notebook.output(0)).to_contain_text("from 4 to 5")
    expect(notebook.run(1)).to_have_text("5")
    notebook.run(2)
    expect(notebook.output(0).locator(".widget-readout")).to_have_text("9")
    expect(notebook.output(0)).to_contain_text("from 5 to 9")
    expect(notebook.run(3)).to_contain_text("2 squared is 4")
    notebook.output(3).locator(".noUi-handle").focus()
    notebook.keyboard.press("ArrowRight")
    expect(notebook.output(3)).to_contain_text("3 squared is 9")
    assert notebook.stray_output() == []


def test_input_is_asked_below_the_cell(lab: Lab) -> None:
    notebook = lab.open("input.ipynb", "print('Hello,', input('Your name? '))")
    notebook.start(0)
    box = notebook.cell(0).locator("input.jp-Stdin-input")
    expect(box).to_be_visible()
    expect(notebook.cell(0).locator(".jp-Stdin-prompt")).to_have_text("Your name? ")
    lab.shoot("input")
    box.fill("Ada")
    box.press("Enter")
    expect(notebook.output(0).last).to_have_text("Hello, Ada")
    assert notebook.stray_output() == []


def test_restart_gives_a_clean_namespace(lab: Lab) -> None:
    notebook = lab.open("restart.ipynb", "kept = 1", "'kept' in globals()")
    notebook.run(0)
    expect(notebook.run(1)).to_have_text("True")
    notebook.button("restart").click()
    with lab.page.expect_response(re.compile("/restart")):
        lab.page.locator(".jp-Dialog button.jp-mod-accept").click()
    notebook.wait_until_idle()
    expect(notebook.run(1)).to_have_text("False")
    expect(notebook.prompt(1)).to_have_text("[1]:")
    assert notebook.stray_output() == []


def test_the_debugger_stops_at_a_breakpoint_and_shows_the_variables(lab: Lab) -> None:
    notebook = lab.open(
        "debugger.ipynb",
        "seen_globally = 'everywhere'",
        "def total(numbers):\n"
        "    result = 0\n"
        "    for number in numbers:\n"
        "        result += number\n"
        "    return result\n"
        "total([40, 2])",
    )
    notebook.run(0)
    notebook.button("debugger-icon").click()
    sidebar = lab.page.locator("#jp-debugger-sidebar")
    variables = sidebar.locator(".jp-DebuggerVariables")
    expect(variables).to_contain_text("seen_globally")
    lab.shoot("debugger-variables")
    # Line 4, by the gutter beside it: the first element of a gutter is not a line.
    gutter = notebook.cell(1).locator(".cm-breakpoint-gutter .cm-gutterElement")
    gutter.nth(4).click()
    expect(notebook.cell(1).locator(".cm-breakpoint-icon")).to_have_count(1)
    notebook.start(1)
    callstack = sidebar.locator(".jp-DebuggerCallstack")
    expect(callstack).to_contain_text(re.compile(r"total\s*Cell.*:4"))
    expect(variables.get_by_role("treeitem", name="number: 40", exact=True)).to_be_visible()
    expect(variables.get_by_role("treeitem", name="result: 0", exact=True)).to_be_visible()
    lab.shoot("debugger-stopped")
    sidebar.locator('[data-command="debugger:next"]').click()
    expect(callstack).to_contain_text(re.compile(r"total\s*Cell.*:3"))
    expect(variables.get_by_role("treeitem", name="result: 40", exact=True)).to_be_visible()
    lab.shoot("debugger-stepped")
    sidebar.locator('[data-command="debugger:continue"]').click()
    expect(variables.get_by_role("treeitem", name="number: 2", exact=True)).to_be_visible()
    sidebar.locator('[data-command="debugger:continue"]').click()
    expect(notebook.output(1)).to_have_text("42")
    assert notebook.stray_output() == []


@pytest.mark.parametrize("folder", ["", "below/"])
def test_a_link_in_a_traceback_opens_the_file_beside_the_notebook(lab: Lab, folder: str) -> None:
    beside = lab.server.root / folder
    (beside / "tools").mkdir(parents=True, exist_ok=True)
    (beside / "tools" / "failing.py").write_text("def fail():\n    pass\n    return 1 / 0\n")
    notebook = lab.open(f"{folder}links.ipynb", "from tools import failing\nfailing.fail()")
    link = notebook.run(0).locator("a", has_text="failing.py").first
    link.scroll_into_view_if_needed()
    lab.shoot("traceback-link")
    link.click()
    editor = lab.page.locator(".jp-FileEditor:visible")
    expect(editor).to_contain_text("return 1 / 0")
    # With the cursor in the line.
    expect(lab.page.locator(".jp-StatusBar-Widget", has_text="Ln 3")).to_be_visible()


# The last one: nobody after it needs a page of its own.
def test_a_reloaded_page_finds_the_running_kernel(lab: Lab) -> None:
    notebook = lab.open("reload.ipynb", "kept = 6", "kept * 7")
    notebook.run(0)
    lab.command("docmanager:save")
    lab.reload()
    lab.page.locator(".jp-NotebookPanel").wait_for()
    notebook = lab.notebook()
    expect(notebook.prompt(0)).to_have_text("[1]:")
    expect(notebook.run(1)).to_have_text("42")
    assert len(lab.server.kernels()) == 1
    assert notebook.stray_output() == []
