"""Tools that run notebooks: what they make of small notebooks of our own."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import nbformat
from jupyter_client.session import Session
from playwright.sync_api import expect, sync_playwright
from tornado.websocket import websocket_connect

from ..lab import CHROMIUM_ARGUMENTS
from .place import Place, Results
from .suites import reasons_of

_SECONDS = 300

# What a page shows, or is to show, within this time: milliseconds.
PAGE_TIMEOUT = 60_000

PLAIN = (
    "import sys\nx = 6 * 7\nprint('printed')\nx",
    "print('warned', file=sys.stderr)",
    "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>bold</b>'))\nx + 1",
    "handle = display(Markdown('*first*'), display_id=True)\nhandle.update(Markdown('*second*'))",
    "!echo 'of a shell'",
    "lines = !printf 'a\\nb\\n'\nlines",
    "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()",
    "%%time\npass",
    "get_ipython().run_cell_magic('html', '', '<i>magic</i>')",
    "import asyncio\nawait asyncio.sleep(0.01)\n'awaited'",
    "try:\n    input('?')\nexcept Exception as error:\n    print(type(error).__name__)",
)
FAILING = ("print('before')", "def f():\n    raise ValueError('wrong')\nf()", "print('behind')")
SLOW = ("import time\nprint('begun')\ntime.sleep(60)",)
DYING = ("import os\nos._exit(1)", "print('behind')")

WIDGETS = (
    (
        "import ipywidgets as w\nslider = w.IntSlider(value=3, max=10, description='it')\n"
        "label = w.Label('none')\nout = w.Output()\n"
        "def moved(change):\n    label.value = f\"moved to {change['new']}\"\n"
        "    with out:\n        print('heard', change['new'])\n"
        "slider.observe(moved, 'value')\nw.VBox([slider, label, out])"
    ),
    (
        "button = w.Button(description='press')\npressed = w.Label('not pressed')\n"
        "button.on_click(lambda _: setattr(pressed, 'value', 'pressed'))\nw.HBox([button, pressed])"
    ),
    "import os\nprint('asked', os.environ.get('QUERY_STRING', ''))",
)


def write_notebook(path: Path, cells: tuple[str, ...]) -> None:
    """Write a notebook for the kernel that is called python3."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, id=f"c{n}") for n, source in enumerate(cells)],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}
        },
    )
    nbformat.write(notebook, path)


def outputs_of(path: Path) -> Results:
    """Return the outputs of each cell, as text without what differs from run to run."""
    notebook = nbformat.read(path, as_version=4)
    return {
        f"{path.name}, cell {number}": _steady(json.dumps([_bare(one) for one in cell.outputs]))
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
    }


def _bare(output: Any) -> Any:
    kept = {key: value for key, value in output.items() if key != "metadata"}
    if "text" in kept:
        # Where a stream is cut into messages is chance.
        kept["text"] = "".join(kept["text"])
    return kept


def _steady(text: str) -> str:
    """Take times, addresses and colours out of a text."""
    text = re.sub(r"(\\u001b|\x1b|#x1B)\[[0-9;]*m", "", text)
    text = re.sub(r"\d+(\.\d+)?(e[+-]\d+)? ?([mnu\u00b5\u03bc]|\\u00b5|\\u03bc)?s\b", "TIME", text)
    text = re.sub(r"/\S*?ipykernel_\d+/\d+\.py", "CELL", text)
    return re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", text)


# -- plug-ins of pytest --------------------------------------------------------------


def nbmake(place: Place) -> Results:
    """Run notebooks as tests, with outputs written back."""
    folder = fresh(place, "nbmake")
    for name, cells in (("plain", PLAIN), ("failing", FAILING), ("slow", SLOW), ("dying", DYING)):
        write_notebook(folder / f"{name}.ipynb", cells)
    report = folder / "report.xml"
    words = ("--nbmake", "--overwrite", "--nbmake-timeout=20", f"--junit-xml={report}")
    code, _ = place.run(
        "-m", "pytest", "-p", "no:cacheprovider", *words, cwd=folder, seconds=_SECONDS
    )
    results = {**_reported(report), "exit status": str(code)}
    for name in ("plain", "failing"):
        results |= outputs_of(folder / f"{name}.ipynb")
    return results


def _reported(report: Path) -> Results:
    ends = reasons_of(report).items()
    return {name: _steady(f"{end} {why}".strip()[:200]) for name, (end, why) in ends}


def nbval(place: Place) -> Results:
    """Compare the outputs of a notebook with those that ipykernel has given."""
    folder = fresh(place, "nbval")
    # Saved by ipykernel in both cases.
    saved = Place("python3", place.folder / "saving", place.python)
    for name, cells in (("plain", PLAIN), ("failing", FAILING)):
        write_notebook(folder / f"{name}.ipynb", cells)
        words = ("-m", "jupyter", "execute", "--inplace", "--allow-errors", f"{name}.ipynb")
        saved.run(*words, cwd=folder, seconds=_SECONDS)
    (folder / "sanitize.cfg").write_text(
        "[times]\nregex: (CPU times|Wall time|Total).*\nreplace: TIME\n"
        "[cells]\nregex: ipykernel_[0-9]+/[0-9]+\nreplace: CELL\n"
    )
    report = folder / "report.xml"
    words = ("--nbval", "--nbval-sanitize-with", "sanitize.cfg", f"--junit-xml={report}")
    code, printed = place.run(
        "-m", "pytest", "-p", "no:cacheprovider", *words, cwd=folder, seconds=_SECONDS
    )
    (folder / "log.txt").write_text(printed)
    return {**_reported(report), "exit status": str(code)}


# -- books ---------------------------------------------------------------------------


# Its package cannot be run as a module.
_BOOK = "from jupyter_book.cli.main import main; main()"


def jupyter_book(place: Place) -> Results:
    """Build a small book, each chapter executed, and once more from its cache."""
    folder = fresh(place, "book")
    write_notebook(folder / "plain.ipynb", PLAIN)
    write_notebook(folder / "failing.ipynb", FAILING)
    (folder / "text.md").write_text(
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        "kernelspec:\n  name: python3\n  display_name: python3\n---\n\n# Text\n\n"
        "```{code-cell} ipython3\nx = 6 * 7\nprint('in MyST', x)\n```\n\nIt is {eval}`x`.\n"
    )
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: text\nchapters:\n- file: plain\n- file: failing\n"
    )
    results: Results = {}
    for mode in ("force", "cache", "inline"):
        (folder / "_config.yml").write_text(
            f"title: Book\nexecute:\n  execute_notebooks: {mode}\n  allow_errors: true\n"
        )
        shutil.rmtree(folder / "_build" / "html", ignore_errors=True)
        code, printed = place.run("-c", _BOOK, "build", "--all", ".", cwd=folder, seconds=_SECONDS)
        (folder / f"{mode}.txt").write_text(printed)
        results[f"{mode}: exit status"] = str(code)
        for name in ("text", "plain", "failing"):
            page = (folder / "_build" / "html" / f"{name}.html").read_text()
            found = re.findall(r'<div class="cell_output.*?</div>\n</div>', page, re.DOTALL)
            shown = [html.unescape(re.sub(r"<[^>]*>", " ", one)) for one in found]
            results[f"{mode}: {name}"] = _steady(" ".join(" ".join(shown).split()))
    return results


# -- servers -------------------------------------------------------------------------


@contextmanager
def serving(place: Place, folder: Path, *words: str) -> Iterator[str]:
    """Start a server on a free port; yield its address when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [place.python, "-m", *(word.format(port=port) for word in words)],
            cwd=folder,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + _SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "server.log").read_text()[-3000:])
            try:
                httpx.get(url, timeout=5)
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                break
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def voila(place: Place) -> Results:
    """Look at a dashboard in Chromium, move its slider, press its button."""
    folder = fresh(place, "voila")
    write_notebook(folder / "widgets.ipynb", WIDGETS)
    write_notebook(folder / "plain.ipynb", PLAIN)
    write_notebook(folder / "failing.ipynb", FAILING)
    results: Results = {}
    words = ("voila", "--no-browser", "--port={port}", "--Voila.ip=127.0.0.1", ".")
    with serving(place, folder, *words) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS
        )
        page = browser.new_page()
        page.set_default_timeout(PAGE_TIMEOUT)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{url}voila/render/widgets.ipynb?of=me")
        handle = page.locator(".noUi-handle").first
        handle.wait_for()
        handle.focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text("moved to 4")).to_be_visible(timeout=PAGE_TIMEOUT)
        expect(page.get_by_text("heard 4")).to_be_visible(timeout=PAGE_TIMEOUT)
        page.get_by_role("button", name="press").click()
        expect(page.get_by_text("pressed", exact=True)).to_be_visible(timeout=PAGE_TIMEOUT)
        results["widgets"] = _seen(page)
        for name in ("plain", "failing"):
            page.goto(f"{url}voila/render/{name}.ipynb")
            page.locator(".jp-Cell, .voila-error, .jp-RenderedText").first.wait_for()
            page.wait_for_load_state("networkidle")
            results[name] = _seen(page)
        results["errors in the browser"] = str(errors)
        browser.close()
    return results


def _seen(page: Any) -> str:
    return _steady(" ".join(str(page.locator("body").inner_text()).split()))


def kernel_gateway(place: Place) -> Results:
    """Run cells over a kernel gateway's websocket, and a notebook as a web service."""
    folder = fresh(place, "gateway")
    token = secrets.token_hex(8)
    words = ("kernel_gateway", "--KernelGatewayApp.ip=127.0.0.1", "--KernelGatewayApp.port={port}")
    results: Results = {}
    os.environ.pop("KG_AUTH_TOKEN", None)
    with serving(place, folder, *words, f"--KernelGatewayApp.auth_token={token}") as url:
        results |= asyncio.run(_over_websocket(url, token))
    service = (
        "import json\nhits = 0",
        (
            "# GET /hello/:name\nhits += 1\nrequest = json.loads(REQUEST)\n"
            "print(json.dumps([request['path'], request['args'], hits]))"
        ),
        "# ResponseInfo GET /hello/:name\nprint(json.dumps({'status': 202}))",
        "# POST /body\nprint(json.loads(REQUEST)['body'])",
        "# GET /wrong\nraise ValueError('wrong')",
    )
    write_notebook(folder / "service.ipynb", service)
    http = "--KernelGatewayApp.api=kernel_gateway.notebook_http"
    seed = f"--KernelGatewayApp.seed_uri={folder / 'service.ipynb'}"
    with serving(place, folder, *words, http, seed) as url:
        for method, path in (
            ("GET", "hello/you?a=1&a=2"),
            ("GET", "hello/me"),
            ("POST", "body"),
            ("GET", "wrong"),
        ):
            content = "text" if method == "POST" else None
            answer = httpx.request(method, url + path, content=content, timeout=_SECONDS)
            results[f"{method} /{path}"] = f"{answer.status_code} {_steady(answer.text)}"
    return results


async def _over_websocket(url: str, token: str) -> Results:
    headers = {"Authorization": f"token {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=_SECONDS) as client:
        made = (await client.post(f"{url}api/kernels", json={"name": "python3"})).json()
        address = f"{url.replace('http', 'ws', 1)}api/kernels/{made['id']}/channels?token={token}"
        socket = await websocket_connect(address)
        results: Results = {}
        cells = (*PLAIN, *FAILING[:2], "import os; os.environ.get('KERNEL_GATEWAY')")
        for number, code in enumerate(cells, 1):
            results[f"websocket, cell {number}"] = _steady(str(await _run(socket, code)))
        socket.close()
        answer = await client.post(f"{url}api/kernels/{made['id']}/restart")
        results["restart"] = str(answer.status_code)
        socket = await websocket_connect(address)
        results["after a restart"] = str(await _run(socket, "'x' in globals()"))
        socket.close()
        answer = await client.delete(f"{url}api/kernels/{made['id']}")
        results["shutdown"] = str(answer.status_code)
    return results


async def _run(socket: Any, code: str) -> list[Any]:
    """Run a cell; return its outputs and the status of its reply."""
    session = Session()
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = session.msg("execute_request", content)
    sent = {**message, "channel": "shell", "buffers": []}
    await socket.write_message(json.dumps(sent, default=str))
    said: list[Any] = []
    is_idle, status = False, None
    while not is_idle or status is None:
        text = await asyncio.wait_for(socket.read_message(), _SECONDS)
        if text is None:
            raise RuntimeError("the websocket was closed")
        one = json.loads(text)
        if one["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        what = one["content"]
        if one["msg_type"] == "execute_reply":
            status = what["status"]
        elif one["msg_type"] == "status":
            is_idle = what["execution_state"] == "idle"
        elif one["msg_type"] == "stream" and said and said[-1][0] == what["name"]:
            said[-1][1] += what["text"]
        elif one["msg_type"] == "stream":
            said.append([what["name"], what["text"]])
        elif one["msg_type"] == "error":
            said.append([what["ename"], what["evalue"]])
        elif one["msg_type"] != "execute_input":
            said.append([one["msg_type"], what.get("data")])
    return [*said, status]


def fresh(place: Place, name: str) -> Path:
    folder = place.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
