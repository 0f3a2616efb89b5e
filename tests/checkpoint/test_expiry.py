"""Notebooks whose environment ends between cells, as a front end sees them."""

from __future__ import annotations

import functools
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from ..support import TIMEOUT, Cell, eventually
from .expiring import AFTER_EACH_CELL, RELEASED, SHORT, Notebook, is_running, notebook
from .notebooks import IN_A_FRONT_END
from .test_engine import POOL


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(
        tmp_path_factory.mktemp("shared"), *AFTER_EACH_CELL, pool_options={"ready_sessions": 1}
    ) as one:
        yield one


@pytest.fixture
def one(shared: Notebook) -> Iterator[Notebook]:
    """A notebook that begins anew and is stored after each cell."""
    yield shared
    shared.begin_anew()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("plain"), "--AcaKernel.checkpoint=off") as one:
        yield one


@pytest.fixture
def uninterrupted(plain: Notebook) -> Iterator[Notebook]:
    """A notebook that begins anew and whose environment lives on."""
    yield plain
    plain.begin_anew()


def shown(cell: Cell) -> Any:
    outputs: list[Any] = [cell.text]
    for message in cell.messages:
        content = message["content"]
        if message["msg_type"] in ("execute_result", "display_data"):
            outputs.append((sorted(content["data"]), content["data"].get("text/plain")))
            outputs.append(content.get("execution_count"))
        elif message["msg_type"] == "error":
            outputs.append((content["ename"], content["evalue"]))
    outputs.append(cell.reply["content"].get("execution_count"))
    text = re.sub("0x[0-9a-f]+", "0x", json.dumps(outputs))
    return re.sub(r"ipykernel_\d+", "ipykernel", text)


# Notebooks whose next cells run in one environment, one's after the other's. They have no names in
# common; what a cell finds in `_` and `Out` is its own notebook's where that is alone.
TOGETHER = (("plain",), ("classes", "files", "shown"), ("numpy", "pandas", "sklearn", "plots"))


class Round(NamedTuple):
    """A cell of each of some notebooks, behind an expiry: what they show, and without that."""

    expiring: dict[str, Cell]
    uninterrupted: dict[str, Cell]


@pytest.fixture(scope="module")
def rounds(shared: Notebook, plain: Notebook) -> Callable[[str], list[Round]]:
    """Run a notebook, with those that it is together with, unless that has been done."""

    @functools.cache
    def run(names: tuple[str, ...]) -> list[Round]:
        ran = []
        # They end together, so that what is large is not restored for others.
        backwards = itertools.zip_longest(*(reversed(IN_A_FRONT_END[name]) for name in names))
        for cells in reversed(list(backwards)):
            if ran:
                shared.expire_when_stored()
            codes = {name: code for name, code in zip(names, cells, strict=True) if code}
            ran.append(Round(*({name: one.run(codes[name]) for name in codes} for one in both)))
        for one in both:
            one.begin_anew()
        return ran

    both = (shared, plain)
    return lambda name: run(next(names for names in TOGETHER if name in names))


@pytest.mark.parametrize("name", IN_A_FRONT_END)
def test_a_notebook_shows_the_same_though_it_expires_after_each_cell(
    name: str, rounds: Callable[[str], list[Round]]
) -> None:
    ran = [one for one in rounds(name) if name in one.expiring]
    for number, code in enumerate(IN_A_FRONT_END[name]):
        expiring, uninterrupted = ran[number]
        if number:
            sentence = next(iter(expiring.values())).said
            assert re.match(RELEASED, sentence)
            assert "came back in" in sentence
            assert "not restored" not in sentence
        assert shown(expiring[name]) == shown(uninterrupted[name]), code


def test_decimal_and_settings_of_ipython_are_as_they_were(one: Notebook) -> None:
    one.run("import decimal; decimal.getcontext().prec = 5\n%precision 2")
    one.run("%config IPCompleter.greedy = True\n%cd /\n%load_ext autoreload\n%autoreload 2")
    one.expire_when_stored()
    cell = one.run(
        "print(decimal.Decimal(1) / 3, get_ipython().Completer.greedy, len(_dh)); 3.14159"
    )
    assert (cell.text, cell.result) == ("0.33333 True 2\n", "3.14")
    assert "not restored" not in cell.said
    reloader = "get_ipython().magics_manager.magics['line']['autoreload'].__self__._reloader"
    assert one.run(f"{reloader}.enabled, {reloader}.check_all").result == "(True, True)"


def test_what_hangs_in_a_copy_is_stored_between_cells(one: Notebook) -> None:
    one.run(POOL.replace("slow, ", "").replace("Slow(), ", ""))
    assert eventually(lambda: "model7" in one.stored_names(), TIMEOUT)
    # The next time it is known, so that none is left out at first.
    one.run("best.note.append('once more')")
    one.wait_until_stored()
    assert one.manifest()["deferred"] == []
    one.expire_when_stored()
    cell = one.run("print(precious, best is models[3], best.data, model7.data)")
    assert cell.text == "days of work True [3, ['in common']] 7\n"
    assert "not restored: pool (" in cell.said
    assert "model" not in cell.said


HASHES = "print(list({str(number) for number in range(50)}), hash('text'))"


def test_texts_have_the_same_hashes_in_the_next_environment(one: Notebook) -> None:
    before = one.run(f"import os, signal, subprocess, sys\n{HASHES}").text
    one.expire_when_stored()
    cell = one.run(HASHES)
    assert cell.text == before
    assert "not restored" not in cell.said
    one.run("os.kill(os.getpid(), signal.SIGKILL)")
    assert one.run(HASHES).text == before
    # Nobody has set anything: cells and the processes that they start see none of it.
    assert one.run("os.environ.get('PYTHONHASHSEED')").result is None
    code = f"subprocess.check_output([sys.executable, '-c', {HASHES!r}], text=True) == {before!r}"
    assert one.run(code).result == "False"


SOURCES = """
import inspect
def divide(x):
    # by it
    return 1 / x
class Holder:
    def hold(self): return divide(0)
twice = lambda y: y * 2
"""


def test_functions_of_cells_have_their_source(one: Notebook) -> None:
    one.run(SOURCES)
    for _ in range(2):
        one.expire_when_stored()
        cell = one.run("print(inspect.getsource(divide), inspect.getsource(twice), sep='')")
        assert cell.text == (
            "def divide(x):\n    # by it\n    return 1 / x\ntwice = lambda y: y * 2\n\n"
        )
        assert (
            "hold(self): return divide(0)" in one.run("print(inspect.getsource(Holder.hold))").text
        )
        assert "# by it" in str(one.run("%psource divide").reply["content"]["payload"])
        error = one.run("Holder().hold()").error
        assert error is not None
        assert re.sub("\x1b\\[[0-9;]*m", "", "\n".join(error["traceback"])).count("# by it") == 1


LOGGING = """
import logging, sys
logging.basicConfig(level='DEBUG', format='%(levelname)s | %(message)s', stream=sys.stdout)
log, quiet = logging.getLogger('mine'), logging.getLogger('mine.quiet')
quiet.setLevel('ERROR')
class Only(logging.Filter):
    def filter(self, record): return 'secret' not in record.getMessage()
log.addHandler(logging.FileHandler('kept.log')); log.handlers[0].setLevel('WARNING')
log.addFilter(Only())
other = logging.getLogger('other'); other.propagate = False
logging.getLogger('errors').addHandler(logging.StreamHandler())
def write():
    log.debug('debug'); quiet.warning('not this'); log.error('a secret'); log.warning('warning')
    logging.getLogger('errors').critical('to stderr')
    print(open('kept.log').read(), len(logging.root.handlers), len(log.handlers), other.propagate)
"""


def test_what_is_logged_where_is_as_it_was(one: Notebook, uninterrupted: Notebook) -> None:
    for notebook_ in (one, uninterrupted):
        notebook_.run(LOGGING)
    for _ in range(2):
        one.expire_when_stored()
        cell, plain = one.run("write()"), uninterrupted.run("write()")
        assert cell.text == plain.text
        assert cell.text.startswith("DEBUG | debug\nWARNING | warning\n")
        assert "not restored" not in cell.said
        assert cell.said.endswith(" to stderr")


KEEPS = '''
open("keeps.py", "w").write("""
import logging, sys
print("imported")
out, write, error = sys.stdout, sys.stdout.write, sys.stderr
log = logging.getLogger("keeps")
log.addHandler(logging.StreamHandler())
""")
import keeps
'''


def test_what_keeps_a_stream_while_it_is_restored_is_heard_afterwards(one: Notebook) -> None:
    one.run(KEEPS)
    one.expire_when_stored()
    cell = one.run(
        "import sys\nprint('by out', file=keeps.out); keeps.write('by write\\n')\n"
        "keeps.log.warning('by log'); print(keeps.out is sys.stdout, keeps.error is sys.stderr)"
    )
    assert cell.text == "by out\nby write\nTrue True\n"
    assert cell.said.endswith(" by log")


def test_one_sentence_says_what_came_back_and_what_did_not(one: Notebook) -> None:
    one.run("import math\nx, y = 1, [2]\nopen('f', 'w').write('')\ng = (n for n in y)")
    one.expire_when_stored()
    cell = one.run("print(x, y, 'g' in dir())")
    assert cell.text == "1 [2] False\n"
    assert re.fullmatch(
        RELEASED + r"; 3 variables and 1 file came back in \d+\.\d s; "
        r"not restored: g \(it is, or holds, a generator, which cannot be stored\)\. "
        r"This cell runs in a new one\.",
        cell.said,
    )
    assert one.run("1").said == ""


def test_what_threads_display_while_a_checkpoint_is_taken_is_of_their_cell(one: Notebook) -> None:
    msg_id = one.kernel.send("""
import threading, time
from IPython.display import display

shown = display({"text/plain": "begun"}, raw=True, display_id=True)

def work():
    for number in range(60):
        shown.update({"text/plain": str(number)}, raw=True)
        time.sleep(0.02)

threading.Thread(target=work).start()""")
    arrived: list[str] = []
    deadline = time.monotonic() + TIMEOUT
    while arrived[-1:] != ["59"]:
        message = one.kernel.client.get_iopub_msg(timeout=deadline - time.monotonic())
        if message["msg_type"] == "update_display_data":
            assert message["parent_header"]["msg_id"] == msg_id
            arrived.append(message["content"]["data"]["text/plain"])
    assert arrived == [str(number) for number in range(60)]


def test_everything_that_was_lost_is_named_somewhere(one: Notebook) -> None:
    one.run("for n in range(25): globals()[f'g{n}'] = (_ for _ in ())\n_private = g0")
    names = {*(f"g{number}" for number in range(25)), "_private"}

    def named(text: str) -> set[str]:
        return set(re.findall(r"(\w+) \(it is, or holds, a generator", text))

    assert named(one.run("%aca checkpoint").told) == names
    assert named(one.run("%aca restore").told) == names
    one.expire_when_stored()
    notice = one.run("1").said
    assert len(named(notice)) == 10
    assert "and 16 more, which `%aca status` names. This cell" in notice
    (table,) = one.run("%aca status").of_type("display_data")
    shown = table["content"]["data"]["text/plain"]
    for row in ("not stored", "not restored"):
        (line,) = [line for line in shown.splitlines() if line.startswith(row)]
        assert named(line) == names


def test_before_the_cooldown_ends_there_is_one_checkpoint_and_then_silence(
    tmp_path: Path,
) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("x = 1")
        one.wait_until_stored()
        taken = one.manifest()["taken"]
        assert eventually(one.is_idle)
        # What has not changed is not stored again, what has is.
        assert one.manifest()["taken"] == taken
        one.run("x = 2")
        one.expire_when_stored()
        assert one.run("x").result == "2"
        (path,) = one.files
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == []


def test_a_kernel_that_expires_often_does_not_grow(one: Notebook) -> None:
    process = psutil.Process(one.kernel.pid)
    one.run("data = __import__('os').urandom(3_000_000); n = 0")
    sizes, descriptors, memory = [], [], []
    for number in range(24):
        one.expire_when_stored()
        cell = one.run("n += 1; data = data[1:] + b'x'; print(n, len(data))")
        assert cell.text == f"{number + 1} 3000000\n"
        one.wait_until_stored()
        sizes.append(sum(path.stat().st_size for path in one.files))
        descriptors.append(process.num_fds())
        memory.append(process.memory_info().rss)
    assert len(one.files) == 1
    assert max(sizes) < 4_000_000
    assert min(descriptors[-5:]) <= max(descriptors[3:8])
    # At first the allocator's own reserve grows, to some pages of files on their way.
    assert memory[-1] < memory[12] * 1.15


def test_variables_come_back_after_the_remote_kernel_has_died(one: Notebook) -> None:
    one.run("x = 1\nopen('f', 'w').write('old')\nopen('g', 'w').write('kept')")
    one.wait_until_stored()
    cell = one.run("open('f', 'w').write('new'); x = 2\nimport os; os._exit(3)")
    assert cell.error is not None
    assert "the variables that were stored last" in cell.error["evalue"]
    cell = one.run("print(x, open('f').read())")
    assert cell.text == "1 new\n"
    assert "f (there is a newer one)" in cell.said
    # The files are the environment's, and the notebook's all the same.
    one.expire_when_stored()
    assert one.run("print(x, open('f').read(), open('g').read())").text == "1 new kept\n"


def test_an_environment_that_ran_no_cell_since_its_restore_is_restored_again(
    one: Notebook,
) -> None:
    one.run("value = [1]")
    one.expire_when_stored()
    reply = one.kernel.ask("is_complete_request", {"code": "value"})
    assert reply["content"]["status"] == "complete"
    one.pool.expire()
    cell = one.run("value")
    assert cell.result == "[1]"
    assert "1 variable and 0 files came back" in cell.said


INSTALL = """
import os, sys
os.makedirs(place, exist_ok=True)
with open(os.path.join(place, 'installed.py'), 'w') as file:
    file.write('class Thing:\\n    n = 7\\n')
del file
"""


def test_what_did_not_come_back_stays_until_it_does(one: Notebook) -> None:
    """A package that was installed into the old environment is missing in the new one."""
    one.run(f"import tempfile; place = tempfile.mkdtemp()\n{INSTALL}\nsys.path.append(place)")
    one.run("import installed; thing, other = installed.Thing(), 5; os.unlink(installed.__file__)")
    one.expire_when_stored()
    cell = one.run("print(other, 'thing' in dir())")
    assert cell.text == "5 False\n"
    assert "thing (ModuleNotFoundError: No module named 'installed')" in cell.said
    assert one.run(f"{INSTALL}\nother = 6").error is None
    one.wait_until_stored()
    assert {"thing", "other"} <= one.stored_names()
    assert "came back in" in one.run("%aca restore").text
    assert one.run("print(thing.n, other)").text == "7 6\n"


def test_a_failure_is_not_held_against_the_next_cell(one: Notebook) -> None:
    one.run(
        "from _aca_remote.originals import os\ndef fork(): raise OSError('no memory')\n"
        "os.fork = fork"
    )
    assert eventually(one.is_idle, TIMEOUT)
    assert one.manifest()["groups"] == []
    # As many cells after a new beginning as had run when it failed.
    for code in ("%aca restart", "x = 1"):
        one.run(code)
    one.wait_until_stored()
    assert "x" in one.stored_names()


def test_restart_with_keep_brings_everything_along_and_without_it_nothing(one: Notebook) -> None:
    one.run("import os; x = 1; os.environ['HERE'] = '1'")
    assert one.run("%aca restart --keep").error is None
    cell = one.run("x, os.environ['HERE']")
    assert cell.result == "(1, '1')"
    assert "came back in" in cell.said
    one.run("%aca restart")
    assert one.run("'x' in dir()").result == "False"
    assert "x" not in one.stored_names()


@pytest.mark.parametrize("lines", [("restart --keep",), ("restore",), ("checkpoint", "restore")])
def test_a_cell_that_stores_or_restores_is_counted_once(
    lines: tuple[str, ...], one: Notebook
) -> None:
    first = one.run("x = 1")
    one.wait_until_stored()
    codes = [*(f"%aca {line}" for line in lines), "'shown'", "len(In), Out"]
    cells = [first, *map(one.run, codes)]
    counts = [cell.reply["content"]["execution_count"] for cell in cells]
    assert counts == list(range(counts[0], counts[0] + len(cells)))
    assert cells[-1].result == str((counts[-1] + 1, {counts[-2]: "shown"}))


def test_what_a_cell_does_behind_its_restart_is_said_to_be_lost(one: Notebook) -> None:
    told = one.run("y = 1\n%aca restart --keep\ny = 2; late = 1").told
    assert "as they are now: changes made later in this cell are lost." in told
    assert one.run("y, 'late' in dir()").result == "(1, False)"


def test_on_request_nothing_happens_by_itself(tmp_path: Path) -> None:
    arguments = ("--AcaKernel.checkpoint=on-request", "--AcaKernel.restore=on-request")
    with notebook(tmp_path, *SHORT, *arguments) as one:
        one.run("x, y = 1, 2")
        assert one.run("%aca restore").error is not None
        text = one.run("%aca checkpoint").text
        assert text.startswith("Stored 2 variables and 0 files on your machine in ")
        assert eventually(one.is_idle)
        one.pool.expire()
        cell = one.run("y = 'new'; 'x' in dir()")
        assert cell.result == "False"
        assert "`%aca restore` brings back what was stored." in cell.said
        # What has not been brought back yet is not lost with the next checkpoint.
        assert one.run("%aca checkpoint").text.startswith("Stored 1 variable and 0 files")
        assert "2 variables and 0 files came back" in one.run("%aca restore").text
        cell = one.run("x, y")
        assert cell.result == "(1, 'new')"


def test_a_checkpoint_is_taken_after_a_long_cell_if_so_set(tmp_path: Path) -> None:
    with notebook(tmp_path, "--AcaKernel.checkpoint_after_seconds=1") as one:
        one.run("x = 1")
        assert not eventually(one.is_stored, timeout=1)
        one.run("import time; time.sleep(2)")
        one.wait_until_stored()


def test_a_cell_does_not_wait_for_a_checkpoint(one: Notebook) -> None:
    one.run("import numpy as np\nlarge = np.random.rand(10_000_000)")
    one.wait_until_stored()
    quick = min(timed(one, "1") for _ in range(3))
    one.run("'no other checkpoint is under way'")
    one.wait_until_stored()
    one.run("large += 1")
    times = []
    while not one.is_stored():
        times.append(timed(one, "large[0] > 0"))
    assert len(times) > 1
    assert sorted(times)[len(times) // 2] < quick + 0.5


def test_cells_that_are_in_it_are_not_counted_as_lost(tmp_path: Path) -> None:
    with notebook(tmp_path, "--AcaKernel.checkpoint_after_seconds=1") as one:
        one.run("k = 0")
        sent = [one.kernel.send("import time; time.sleep(1.5)")]
        # The checkpoint is asked for behind the first cell, and served behind these.
        sent += [one.kernel.send("k += 1") for _ in range(30)]
        one.kernel.collect(sent[-1])
        assert eventually(lambda: "k" in one.stored_names())
        one.pool.expire()
        cell = one.run("k")
        assert cell.result == "30"
        assert "came back in" in cell.said
        assert "as they were before" not in cell.said


def timed(one: Notebook, code: str) -> float:
    started = time.monotonic()
    assert one.kernel.run(code).error is None
    return time.monotonic() - started


DEADLY = """
import os
class Deadly:
    def __getstate__(self): return {'a': 1}
    def __setstate__(self, _): os.kill(os.getpid(), 9)
before, deadly, after = 1, Deadly(), [2]
"""


def test_a_variable_that_kills_the_process_when_it_comes_back_spoils_nothing_else(
    one: Notebook,
) -> None:
    one.run(DEADLY)
    one.expire_when_stored()
    # A second time, when it is known.
    for _ in range(2):
        cell = one.run("print(before, after, 'deadly' in dir())")
        assert cell.text == "1 [2] False\n"
        told = "not restored: deadly (bringing it back ends the remote kernel)"
        assert told in cell.said
        one.wait_until_stored()
        assert "deadly" in one.stored_names()
        one.pool.expire()


SLOW = """
import subprocess
class Slow:
    def __getstate__(self): return {'a': 1}
    def __setstate__(self, _): subprocess.run(['sleep', '61.5'])
x, slow = 1, Slow()
"""


def test_an_interrupted_restore_leaves_what_there_is_and_keeps_the_checkpoint(
    one: Notebook,
) -> None:
    one.run(SLOW)
    one.expire_when_stored()
    stored = one.stored_names()
    sent = one.kernel.send("x")
    assert eventually(lambda: is_running(one.pool, "61.5"))
    one.kernel.interrupt()
    cell = one.kernel.collect(sent)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    cell = one.run("x, 'slow' in dir()")
    assert cell.result == "(1, False)"
    told = cell.said
    assert "; 3 variables and 0 files came back before that was interrupted. All that was" in told
    one.wait_until_stored()
    assert stored <= one.stored_names()
    # So it is if a line asks for it.
    sent = one.kernel.send("del x\n%aca restore")
    assert eventually(lambda: is_running(one.pool, "61.5"))
    one.kernel.interrupt()
    error = one.kernel.collect(sent).error
    assert error is not None
    assert error["evalue"].startswith("Interrupted; what had come back by then is here.")
    assert one.run("x").result == "1"


def test_a_restore_is_interrupted_while_it_is_being_prepared(one: Notebook) -> None:
    one.run("x = __import__('os').urandom(30_000_000)")
    one.expire_when_stored()
    one.pool.fault(kind="delay", seconds=0.5, every=1, tool="runPythonCodeInRemoteEnvironment")
    try:
        calls = one.pool.calls()["runPythonCodeInRemoteEnvironment"]
        sent = one.kernel.send("len(x)")
        # One that finds the environment gone, one that begins another, then ten pages of pieces.
        wanted = calls + 5
        assert eventually(lambda: one.pool.calls()["runPythonCodeInRemoteEnvironment"] >= wanted)
        one.kernel.interrupt()
        cell = one.kernel.collect(sent)
        assert cell.error is not None
        assert cell.error["ename"] == "KeyboardInterrupt"
    finally:
        one.pool.clear_faults()
    assert one.run("%aca restore\n'still here'").result == "'still here'"
    assert one.run("len(x)").result == "30000000"


def test_an_environment_is_kept_alive_as_long_as_it_is_told(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT, pool_options={"cooldown_seconds": 3}) as one:
        one.run("%aca keep 30m")
        one.wait_until_stored()
        before, calls = one.environments(), sum(one.pool.calls().values())
        # One every half second, in all more than the pool's cooldown.
        assert eventually(lambda: sum(one.pool.calls().values()) >= calls + 8)
        cell = one.run("%aca status")
        assert one.environments() == before
        assert cell.said == ""
        (table,) = cell.of_type("display_data")
        assert "kept for 29 min" in table["content"]["data"]["text/plain"]
        assert "cooldown only" in one.run("%aca keep off").text
        one.pool.wait_for_cooldown()
        assert "released after" in one.run("1").said


@pytest.mark.parametrize(
    "line", ["keep", "keep x", "keep 0m", "keep 30h", "keep 1h 2", "restore x"]
)
def test_a_line_that_means_nothing_is_explained_in_one_sentence(line: str, plain: Notebook) -> None:
    error = plain.run(f"%aca {line}").error
    assert error is not None
    assert error["ename"] == "AcaError"
