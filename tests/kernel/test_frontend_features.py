"""What notebooks are made of, beyond text: each as ipykernel gives it."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..comparison import Pair, run, running_pair, shown, take_late_output
from ..support import TIMEOUT, Cell, Client, eventually, running_kernel

PIP_TIMEOUT = 150.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair() as one:
        # Cells write files: theirs do it beside this process.
        one.theirs.run(f"%cd -q {tmp_path_factory.mktemp('cells')}", silent=True)
        one.ours.run("%cd -q .", silent=True)
        yield one


# Cells that belong together, parted by dashes.
CELLS = {
    "displays are updated": r"""
from IPython.display import display, update_display
shown = display('first', display_id='one')
shown.update('second')
---
update_display('from the next cell', display_id='one')
---
display('anonymous', display_id=True)
""",
    "outputs are cleared": r"""
from IPython.display import clear_output
print(1); clear_output(); print(2); clear_output(wait=True); print(3)
""",
    "figures are shown": r"""
import matplotlib.pyplot as plt
plt.plot([1, 3, 2]);
---
plt.plot([1]); plt.show(); plt.bar([1], [2]); plt.show()
---
figure, axes = plt.subplots(); axes.plot([3, 1]); plt.close(figure); figure
""",
    "plots of other libraries are passed on": r"""
from IPython.display import display
display(
    {'application/vnd.plotly.v1+json': {'data': [{'y': [1, 2]}], 'layout': {}},
     'text/html': '<div></div>'},
    raw=True,
    metadata={'application/vnd.plotly.v1+json': {'config': {'a': 1}}},
)
---
display(
    {'application/vnd.vegalite.v5+json': {'mark': 'bar', 'data': {'values': []}},
     'text/plain': '<VegaLite>'},
    raw=True,
)
""",
    "rich results are shown": r"""
import pandas
pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y']})
---
from IPython.display import *
display(HTML('<b>x</b>'), Markdown('*x*'), Latex('$x$'), JSON({'a': 1}), Javascript('1'))
---
class Picture:
    def _repr_png_(self): return b'\x89PNG'
Picture()
---
%%html
<b>bold</b>
""",
    "pagers open": r"""
print?
---
import textwrap
textwrap.dedent??
---
*int?
---
%quickref
""",
    "the next input is set": r"""
get_ipython().set_next_input('next', replace=False)
""",
    "files are written, run, loaded and shown": r"""
%%writefile script.py
print('run as', __name__)
y = 7
---
%run script.py
y
---
%load script.py
---
%pycat script.py
---
%ls script.py
---
!cat script.py
---
%%writefile -a script.py
1 / 0
---
from pathlib import Path
Path('script.py').read_text()
""",
    "output is captured": r"""
%%capture taken
import sys
print('out'); print('err', file=sys.stderr); 5
---
taken.show()
(taken.stdout, taken.stderr, len(taken.outputs))
""",
    "other programs run": r"""
%%bash
echo out; echo err >&2
---
%%bash --out text
echo kept
---
text
---
%%script cat
its input
---
lines = !printf 'a\nb\n'
lines
---
!exit 3
---
_exit_code
---
%%sh
exit 3
""",
    "magics answer": r"""
%env GREETING=hello
---
%who str
---
%xmode Plain
---
1 / 0
---
%xmode Context
---
%nosuch
---
%lsmagic
---
%matplotlib --list
---
%alias
""",
    "errors look alike": r"""
def fail(): raise KeyError('x')
try:
    fail()
except KeyError as error:
    raise ValueError('y') from error
---
%tb
---
class Bad:
    def _repr_html_(self): raise ValueError('in repr')
Bad()
""",
    "warnings and logs are shown": r"""
import warnings
warnings.warn('careful')
---
import logging
logging.getLogger('a').warning('logged')
""",
    "a cell's program is ipykernel's": r"""
import argparse, os, sys
parser = argparse.ArgumentParser()
(parser.prog, os.path.basename(sys.argv[0]), sys.argv[1:-1], len(sys.argv))
---
parser.error('as it is')
""",
    "breakpoints wait for a debugger": r"""
breakpoint()
print('on')
---
import sys
def hook(): print('hook')
sys.breakpointhook = hook
breakpoint()
---
sys.breakpointhook = lambda: None
""",
    "await works at the top level": r"""
import asyncio
await asyncio.sleep(0.01, 'slept')
---
await asyncio.wait_for(asyncio.sleep(5), 0.01)
""",
    "progress bars move": r"""
import sys
from tqdm import tqdm
for _ in tqdm(range(3), file=sys.stdout, mininterval=0, bar_format='{n}/{total}'): pass
---
from tqdm.notebook import tqdm
for _ in tqdm(range(3), mininterval=0, bar_format='{n}/{total}'): pass
""",
    "processes are pooled": r"""
import multiprocessing
with multiprocessing.Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
""",
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_bring_what_they_bring_in_ipykernel(pair: Pair, name: str) -> None:
    for code in CELLS[name].strip("\n").split("\n---\n"):
        pair.check(code)


def test_a_figure_is_an_image(pair: Pair) -> None:
    cell = pair.check("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    (figure,) = cell.of_type("display_data")
    assert figure["content"]["data"]["image/png"].startswith("iVBORw0KGgo")


def test_an_interactive_figure_is_a_widget_that_redraws(pair: Pair) -> None:
    cell = pair.check(
        "%matplotlib widget\nimport matplotlib.pyplot as plt\n"
        "figure, axes = plt.subplots(); (line,) = axes.plot([1, 2, 3]); plt.show()"
    )
    (shown,) = cell.of_type("display_data")
    assert "application/vnd.jupyter.widget-view+json" in shown["content"]["data"]
    # A second after the last time, matplotlib shows a cursor that waits: so it does in both.
    cell = pair.check(
        "line.set_ydata([3, 2, 1]); figure.canvas.toolbar._draw_time = 0\n"
        "figure.canvas.draw(); plt.close(figure)"
    )
    images = [m["buffers"] for m in cell.of_type("comm_msg") if m["buffers"]]
    assert images
    pair.check("%matplotlib inline")


def test_code_is_timed(pair: Pair) -> None:
    def words(cell: Cell) -> list[str]:
        return [word for word in cell.text.split() if word.isalpha() and word not in UNITS]

    pair.check("%timeit -n 10 -r 2 pass", key=words)
    pair.check("%time sum(range(10))", key=words)
    pair.check("%%timeit -n 1 -r 1\nx = 1\nx += 1", key=words)


UNITS = ("s", "ms", "μs", "us", "ns")


def test_a_real_package_is_installed_for_the_cells_only() -> None:
    with running_pair() as pair:
        cell = run(pair.ours, "%pip install --quiet peppercorn", PIP_TIMEOUT)
        assert cell.status == "ok"
        assert cell.stream("stderr") == ""
        assert pair.ours.run("import peppercorn\npeppercorn.__name__").result == "'peppercorn'"
        assert pair.theirs.run("import peppercorn").status == "error"
    assert importlib.util.find_spec("peppercorn") is None


# -- stdin ------------------------------------------------------------------------------


def converse(client: Client, code: str, answers: list[str]) -> dict[str, Any]:
    """Run a cell that asks; return what it asked and what it printed."""
    msg_id = client.send(code)
    asked = []
    for answer in answers:
        request = client.client.get_stdin_msg(timeout=TIMEOUT)
        assert request["parent_header"]["msg_id"] == msg_id
        asked.append(request["content"])
        client.client.input(answer)
    cell = client.collect(msg_id)
    error = cell.error or {}
    return {
        "asked": asked,
        "text": cell.text,
        "stderr": cell.stream("stderr"),
        "status": cell.status,
        "ename": error.get("ename"),
    }


CONVERSATIONS = {
    "input": ("print('Hello', input('name? '))", ["Ada"]),
    "input in a loop": ("while (line := input('> ')): print('got', line)", ["a", "b", ""]),
    "getpass": ("import getpass\nprint(len(getpass.getpass('secret? ')))", ["hunter2"]),
    "pdb": (
        "def add(a, b):\n    total = a + b\n    return total\nimport pdb\npdb.run('add(1, 2)')",
        ["s", "s", "a", "p a + 10", "n", "n", "p total", "c"],
    ),
    "pdb in a function": (
        "def twice(a):\n    import pdb; pdb.set_trace()\n    return 2 * a\nprint(twice(3))",
        ["p a", "!a = 10", "c"],
    ),
    "pdb at functions of os": (
        """
import os, pdb
def look():
    pdb.set_trace()
    os.listdir('.')
    os.stat('.')
    with os.scandir('.'): pass
    os.path.isfile('.')
look()
""",
        ["s"] * 10 + ["c"],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_cell_asks_its_user(pair: Pair, name: str) -> None:
    code, answers = CONVERSATIONS[name]
    assert pair.both(lambda client: converse(client, code, answers))["status"] == "ok"


def test_debug_looks_into_the_last_error(pair: Pair) -> None:
    pair.check("def divide(number): return number / 0")
    pair.ours.run("divide(7)")
    pair.theirs.run("divide(7)")
    said = pair.both(lambda client: converse(client, "%debug", ["p number", "u", "q"]))
    assert "7" in said["text"]


def test_the_debugger_that_comes_late_prints_nothing() -> None:
    with running_kernel() as kernel:
        kernel.run("1")
        question = {"type": "request", "command": "debugInfo", "seq": 1, "arguments": {}}
        kernel.ask("debug_request", question, channel="control")
        kernel.send("print('end')")
        # Whatever cell it would be shown in.
        said = ""
        while "end" not in said:
            said += kernel.client.get_iopub_msg(timeout=TIMEOUT)["content"].get("text", "")
        assert said == "end\n"


# -- widgets ----------------------------------------------------------------------------


def comm_of(cell: Cell, model: str) -> str:
    """The id of the one widget of a kind that a cell has made."""
    (comm_id,) = (
        m["content"]["comm_id"]
        for m in cell.of_type("comm_open")
        if m["content"]["data"]["state"].get("_model_name") == model
    )
    return str(comm_id)


def tell_widget(client: Client, comm_id: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Send a widget what its view in the front end would; return what comes of it."""
    message = client.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
    client.client.shell_channel.send(message)
    deadline = time.monotonic() + TIMEOUT
    return list(client.messages_until_idle(message["header"]["msg_id"], deadline))


def update(client: Client, comm_id: str, state: dict[str, Any]) -> list[dict[str, Any]]:
    return tell_widget(client, comm_id, {"method": "update", "state": state})


def press(client: Client, comm_id: str) -> list[dict[str, Any]]:
    return tell_widget(client, comm_id, {"method": "custom", "content": {"event": "click"}})


def texts(messages: list[dict[str, Any]]) -> str:
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


def test_interact_runs_its_function_when_the_slider_moves(pair: Pair) -> None:
    def move(client: Client) -> dict[str, Any]:
        cell = run(
            client,
            "from ipywidgets import interact\n"
            "@interact(n=(0, 10))\n"
            "def show(n=3): print('n is', n)",
        )
        messages = update(client, comm_of(cell, "IntSliderModel"), {"value": 7})
        return {
            "made": shown(cell.messages),
            "before": cell.text,
            "moved": shown(messages),
            "after": texts(messages),
        }

    moved = pair.both(move)
    assert (moved["before"], moved["after"]) == ("n is 3\n", "n is 7\n")


def test_a_button_calls_its_function(pair: Pair) -> None:
    def click(client: Client) -> Any:
        cell = run(
            client,
            "import ipywidgets\nbutton = ipywidgets.Button(description='press')\n"
            "button.on_click(lambda _: print('pressed'))\nbutton",
        )
        return texts(press(client, comm_of(cell, "ButtonModel")))

    assert pair.both(click) == "pressed\n"


def test_an_output_widget_catches_what_is_printed(pair: Pair) -> None:
    cell = pair.check(
        "import ipywidgets\noutput = ipywidgets.Output()\n"
        "with output:\n    print('caught')\n    display('shown')\n"
        "with output:\n    1 / 0\n"
        "output.append_stdout('appended')\noutput.clear_output()\noutput"
    )
    comm_id = comm_of(cell, "OutputModel")
    states = [
        m["content"]["data"]["state"]
        for m in cell.of_type("comm_msg")
        if m["content"]["comm_id"] == comm_id
    ]
    # The front end is told whose outputs belong to the widget, and when that ends.
    assert {"msg_id": cell.messages[0]["parent_header"]["msg_id"]} in states
    assert {"msg_id": ""} in states


def test_widgets_made_by_the_kernel_are_known_to_a_front_end_that_comes_later(pair: Pair) -> None:
    def ask(client: Client) -> Any:
        run(client, "import ipywidgets\nipywidgets.Widget.close_all()\nipywidgets.IntText()")
        reply = client.ask("comm_info_request", {"target_name": "jupyter.widget"})
        return sorted(comm["target_name"] for comm in reply["content"]["comms"].values())

    assert len(pair.both(ask)) == 3  # the widget, its layout, its style


# -- what outlives its cell -------------------------------------------------------------

LATE = {
    "a thread": (
        "import threading, time\n"
        "def work():\n    for n in range(3):\n        time.sleep(0.3)\n        print('late', n)\n"
        "threading.Thread(target=work).start()"
    ),
    "a task": (
        "import asyncio\n"
        "async def work():\n"
        "    for n in range(3):\n        await asyncio.sleep(0.3)\n        print('late', n)\n"
        "task = asyncio.create_task(work())"
    ),
    "a callback": (
        "import asyncio\nloop = asyncio.get_running_loop()\n"
        "for n in range(3): loop.call_later(0.3 * (n + 1), print, 'late', n)"
    ),
    "callbacks of the next turn": (
        "import asyncio\nloop = asyncio.get_running_loop()\n"
        "def work(n):\n"
        "    print('late', n)\n    if n < 2: loop.call_soon(work, n + 1)\n"
        "loop.call_soon(work, 0)"
    ),
    "a watched descriptor": (
        "import asyncio, os\nloop = asyncio.get_running_loop()\nr, w = os.pipe()\n"
        "def work():\n    print('late', os.read(r, 1).decode())\n"
        "loop.add_reader(r, work)\nos.write(w, b'012')"
    ),
    "an alarm": (
        "import asyncio, itertools, signal\nnumbers = itertools.count()\n"
        "def work():\n"
        "    n = next(numbers); print('late', n)\n"
        "    if n == 2: signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, work)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)"
    ),
    "a child process": (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sh', '-c', 'for n in 0 1 2; do sleep 0.3; "
        "echo late $n; done'])"
    ),
}


@pytest.fixture
def late_pair(pair: Pair) -> Pair:
    """The two, ours in a new environment: what others have left running would be seen as well."""
    assert pair.ours.run("%aca restart").error is None
    return pair


@pytest.mark.parametrize("name", LATE)
def test_what_goes_on_after_its_cell_is_seen(late_pair: Pair, name: str) -> None:
    for client in (late_pair.ours, late_pair.theirs):
        client.run("1")
        cell = run(client, LATE[name])
        assert cell.status == "ok"
        wait_for_late_text(client, cell)
    late_pair.check_next()


def wait_for_late_text(client: Client, cell: Cell) -> None:
    def is_complete() -> bool:
        take_late_output(client, cell)
        return cell.text == "late 0\nlate 1\nlate 2\n"

    assert eventually(is_complete), cell.text


def test_what_a_button_starts_is_seen(late_pair: Pair) -> None:
    for client in (late_pair.ours, late_pair.theirs):
        button = run(
            client,
            "import ipywidgets, threading, time\n"
            "def work():\n"
            "    for n in range(3):\n        time.sleep(0.3)\n        print('late', n)\n"
            "button = ipywidgets.Button()\n"
            "button.on_click(lambda _: threading.Thread(target=work).start())\nbutton",
        )
        cell = Cell({}, press(client, comm_of(button, "ButtonModel")))
        wait_for_late_text(client, cell)
