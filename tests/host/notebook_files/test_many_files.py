"""Many small files come in few calls, and nothing comes that no code has asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from ...in_turn import Turns, turns
from ...support import Client, Pool, running_pool
from ..conftest import kernel_in
from .conftest import DECOYS, SECRET, fill
from .test_safety import HOSTILE

ON_DEMAND = ("--AcaKernel.files=on-demand",)

COUNT = 200


@pytest.fixture(scope="module")
def far_pool() -> Iterator[Pool]:
    # An environment that is left stays until its cooldown.
    with running_pool(max_concurrent_sessions=50) as pool:
        yield pool


# Counts the questions about files. How many calls carry them is up to the machine, as is how many
# calls only wait, for a cell that a busy one takes longer for; nor does an answer grow old here.
COUNTING = """
import glob, os
from pathlib import Path
from _aca_remote import call_socket
from _aca_remote.notebook_files import lookup_cache
lookup_cache.FRESH_SECONDS = 1000.0
asked = []
if "call" not in globals():
    def call(self, op, *parts, _call=call_socket.Connection.call, **arguments):
        if op.startswith("files_"):
            asked.append(op)
        return _call(self, op, *parts, **arguments)
    call_socket.Connection.call = call
"""


@pytest.fixture(scope="module")
def shared(place: Path, far_pool: Pool) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, *ON_DEMAND, env=far_pool.env)) as one:
        yield one


@pytest.fixture
def kernel(corner: Path, shared: Turns) -> Client:
    """A kernel that counts, in a corner of the notebook's folder."""
    return shared.take(f"{COUNTING}\n%cd -q {corner.name}")


@pytest.fixture
def fresh_kernel(bare: Path, shared: Turns) -> Client:
    """A kernel that counts, and to which nothing was sent."""
    kernel = shared.take_anew()
    assert kernel.run(COUNTING).error is None
    return kernel


def make(folder: Path, count: int = COUNT, suffix: str = ".csv") -> list[str]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}{suffix}").write_text(f"{number}\n")
    return [f"{folder.name}/{number:04}{suffix}" for number in range(count)]


def questions_of(kernel: Client, code: str) -> tuple[int, str]:
    """Return how many questions a cell asks about files, and its result."""
    kernel.run("asked.clear()")
    cell = kernel.run(code)
    assert cell.status == "ok", cell.text
    return int(kernel.run("len(asked)").result), cell.result


TOTAL = str(sum(range(COUNT)))

# A loop over names that code has seen: each adds up the numbers in the files.
LOOPS = {
    "text": "sum(int(open(n).read()) for n in {names!r})",
    "statement": "total = 0\nfor n in {names!r}:\n    total += int(open(n).read())\ntotal",
    "glob": "sum(int(open(n).read()) for n in glob.glob('data/*.csv'))",
    "pathlib": "sum(int(n.read_text()) for n in Path('data').glob('*.csv'))",
    "rglob": "sum(int(n.read_text()) for n in Path().rglob('*.csv'))",
    "listdir": "sum(int(open(os.path.join('data', n)).read()) for n in os.listdir('data'))",
    "iterdir": "sum(int(n.read_text()) for n in Path('data').iterdir())",
    "walk": (
        "sum(int(open(os.path.join(f, n)).read()) for f, _, ns in os.walk('data') for n in ns)"
    ),
    "base names": (
        "names = [f'{{n:04}}.csv' for n in range(200)]\n"
        "def read(n):\n    with open('data/' + n) as file:\n        return int(file.read())\n"
        "sum(map(read, names))"
    ),
    "pandas": (
        "import pandas as pd\n"
        "int(pd.concat(pd.read_csv(n, header=None) for n in glob.glob('data/*.csv'))[0].sum())"
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "names = glob.glob('data/*.csv')\n"
        "def read(n):\n    with open(n) as file:\n        return int(file.read())\n"
        "with ThreadPoolExecutor(4) as pool:\n    total = sum(pool.map(read, names))\ntotal"
    ),
    "subprocess": (
        "import subprocess\n"
        "text = subprocess.run(['cat', *glob.glob('data/*.csv')], capture_output=True).stdout\n"
        "sum(map(int, text.split()))"
    ),
}

# A listing or none, the folder, and the files: one alone, 8 with the second, four times as many...
MOST_QUESTIONS = 6

# Importing it asks about modules beside the notebook; two threads may ask about the folder at once.
MORE_QUESTIONS = {"pandas": 3, "threads": 1}


def test_files_that_have_changed_come_in_few_calls_too(corner: Path, kernel: Client) -> None:
    names = make(corner / "data")
    code = LOOPS["glob"].format(names=names)
    assert questions_of(kernel, code)[1] == TOTAL
    kernel.run(f"open({names[3]!r}, 'w').write('1000000')")
    for name in names:
        (corner / name).write_text("12345")
    questions, result = questions_of(kernel, code)
    # What code has changed is the code's.
    assert result == str((COUNT - 1) * 12345 + 1_000_000)
    assert questions <= MOST_QUESTIONS


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_takes_few_calls(corner: Path, kernel: Client, loop: str) -> None:
    names = make(corner / "data")
    # It begins in the corner itself.
    one_more = 1 if loop == "rglob" else 0
    questions, result = questions_of(kernel, LOOPS[loop].format(names=names))
    assert result == TOTAL
    assert questions <= MOST_QUESTIONS + MORE_QUESTIONS.get(loop, one_more)
    # The next cell asks about all of them together.
    questions, result = questions_of(kernel, LOOPS[loop].format(names=names))
    assert result == TOTAL
    assert questions <= 2 + one_more


def test_threads_get_large_files_beside_one_another(corner: Path, kernel: Client) -> None:
    """While one is on its way in pages, others are asked for; each comes once."""
    (corner / "data").mkdir()
    for number in range(6):
        (corner / "data" / f"{number}.bin").write_bytes(bytes([number]) * 5_000_000)
    code = """
        from concurrent.futures import ThreadPoolExecutor
        def read(name):
            data = Path(name).read_bytes()
            return len(data), set(data)
        with ThreadPoolExecutor(3) as pool:
            print(list(pool.map(read, sorted(glob.glob("data/*.bin")))))
        asked.count("files_open")
    """
    cell = kernel.run(dedent(code))
    assert cell.text.strip() == str([(5_000_000, {number}) for number in range(6)])
    assert cell.result == "6"


def test_a_file_may_come_along_by_its_other_path(corner: Path, kernel: Client) -> None:
    """The one through a symlink, of which nothing is known before, is opened ahead of it."""
    make(corner / "real", 4)
    (corner / "link").symlink_to("real")
    names = ["real/0003.csv", "link/0000.csv", "real/0000.csv", "real/0001.csv"]
    assert kernel.run(f"[open(name).read() for name in {names}]").result == str(
        ["3\n", "0\n", "0\n", "1\n"]
    )


def sent(kernel: Client) -> set[str]:
    """Return the files that were sent, by the list for the user."""
    text = kernel.run("%aca files").text
    lines = text.partition("Written here")[0].splitlines()[1:]
    return {line.split("  ")[1] for line in lines}


def test_nothing_comes_that_no_code_has_asked_for(bare: Path, fresh_kernel: Client) -> None:
    names = make(bare / "data", 40)
    make(bare / "data", 40, ".txt")
    # Not listed, and named nowhere: one after the other.
    fresh_kernel.run("for n in range(4): open(f'data/{n:04}.csv').close()")
    assert sent(fresh_kernel) == set(names[:4])
    # A pattern asks for no more than it finds; the folder was listed for it alone.
    fresh_kernel.run("for n in glob.glob('data/001*.csv'): open(n).close()")
    assert sent(fresh_kernel) == set(names[:4] + names[10:20])
    # A list of names asks for these.
    fresh_kernel.run(f"names = {names[20:26]}\nfor n in names: open(n).close()")
    assert sent(fresh_kernel) == set(names[:4] + names[10:26])
    # A listing asks for what is opened of it by its suffix, and one file asks for nothing.
    fresh_kernel.run(
        "for n in range(30, 32): (os.listdir('data'), open(f'data/{n:04}.csv').close())"
    )
    assert sent(fresh_kernel) <= set(names)


def test_one_file_brings_no_others(bare: Path, fresh_kernel: Client) -> None:
    names = make(bare / "data", 40)
    fresh_kernel.run("names = glob.glob('data/*.csv'); os.listdir('data')")
    fresh_kernel.run("open(names[0]).close()")
    fresh_kernel.run("open(names[1]).close()")
    assert sent(fresh_kernel) == set(names[:2])


def test_a_loop_that_ends_early_has_fetched_little(bare: Path, fresh_kernel: Client) -> None:
    make(bare / "data")
    fresh_kernel.run("for n in sorted(glob.glob('data/*.csv'))[:20]: open(n).close()")
    assert len(sent(fresh_kernel)) <= 100


def test_no_decoy_comes_along(tmp_path: Path, far_pool: Pool) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    fill(folder)
    names = make(folder / "data", 3)
    for name in ("key.pem", "ignored.log", ".env"):
        (folder / "data" / name).write_text(SECRET)
    others = [*DECOYS, "data/key.pem", "data/ignored.log", "data/.env", "data", "a\0b", 5, "\ud800"]
    code = f"""
with asking() as host:
    answer = host.ask("files_open", path={names[0]!r}, others={[*others, names[1]]!r})
    print(answer.head["others"][0][0], len(answer.head["others"]), answer.parts)
print(attempt("files_open", path={names[0]!r}, others=["text.txt"] * 1001))
print(attempt("files_open", path={names[0]!r}, others="text.txt"))
"""
    with kernel_in(folder, *ON_DEMAND, env=far_pool.env) as kernel:
        cell = kernel.run(HOSTILE + code)
    assert cell.error is None
    assert f"{names[1]} 1 (b'0\\n', b'1\\n')" in cell.text
    assert cell.text.count("refused: The request has no list `others`.") == 2


def test_the_limits_hold_for_what_comes_along(tmp_path: Path, far_pool: Pool) -> None:
    (tmp_path / "data").mkdir()
    for number in range(30):
        (tmp_path / "data" / f"{number:02}.bin").write_bytes(b"x" * 100_000)
    limit = "--AcaKernel.files_total_mb=1"
    with kernel_in(tmp_path, *ON_DEMAND, limit, env=far_pool.env) as kernel:
        cell = kernel.run("import glob\nfor n in sorted(glob.glob('data/*')): open(n).close()")
        assert "files_total_mb" in cell.evalue
        assert len(sent(kernel)) == 10


def test_what_came_along_is_a_copy_like_any_other(corner: Path, kernel: Client) -> None:
    names = make(corner / "data", 30)
    read = "[open(n).read() for n in sorted(glob.glob('data/*.csv'))]"
    kernel.run(read)
    (corner / names[9]).write_text("changed")
    (corner / names[10]).unlink()
    kernel.run(f"open({names[11]!r}, 'a').write('mine'); os.remove({names[12]!r})")
    result = kernel.run(f"text = {read}; len(text), text[9], text[10]").result
    assert result == "(28, 'changed', '11\\nmine')"


def test_modules_that_are_nowhere_cost_one_question(bare: Path, fresh_kernel: Client) -> None:
    code = (
        "import importlib.util\n"
        "[importlib.util.find_spec(name) for name in ('aaa_1', 'aaa_2', 'aaa_3')]"
    )
    assert questions_of(fresh_kernel, code) == (1, "[None, None, None]")
    (bare / "aaa_2.py").write_text("x = 1\n")
    (bare / "aaa_3").mkdir()
    (bare / "aaa_3" / "__init__.py").write_text("x = 2\n")
    assert fresh_kernel.run("import aaa_2, aaa_3; aaa_2.x, aaa_3.x").result == "(1, 2)"


def test_a_folder_of_many_names_is_not_listed_for_a_module(
    bare: Path, fresh_kernel: Client
) -> None:
    for number in range(600):
        (bare / f"{number}.txt").touch()
    code = "import importlib.util\nimportlib.util.find_spec('aaa_1')"
    assert questions_of(fresh_kernel, code) == (2, None)
    assert questions_of(fresh_kernel, code) == (1, None)
