"""Notebooks whose environment ends between cells, as a front end sees them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..support import Cell, Client, Pool, eventually, running_kernel, running_pool
from .notebooks import IN_A_FRONT_END

# The kernel believes that its environments live for a second, so that it takes checkpoints
# after half of one; the pool's live on until they are told to expire.
SHORT = ("--AcaKernel.cooldown_seconds=1",)


@dataclass
class Notebook:
    """A kernel, its pool, and where it keeps things."""

    kernel: Client
    pool: Pool
    data: Path

    def run(self, code: str) -> Cell:
        self.started = time.time()
        return self.kernel.run(code)

    @property
    def files(self) -> list[Path]:
        return list((self.data / "aca-kernel" / "checkpoints").glob("*.sqlite"))

    def manifest(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self.files[0])) as connection:
            query = "SELECT value FROM about WHERE key = 'manifest'"
            try:
                row = connection.execute(query).fetchone()
            except sqlite3.OperationalError:  # not even a table yet
                row = None
        return dict(json.loads(row[0])) if row else {"taken": 0}

    def is_stored(self) -> bool:
        return bool(self.files) and self.manifest()["taken"] > self.started

    def environments(self) -> list[str]:
        claims = (self.data / "runtime").glob("aca-kernel/*/*.json")
        return [json.loads(one.read_text())["environment_id"] for one in claims]

    def expire(self) -> None:
        """Let the environment end as if it had cooled down."""
        for environment_id in self.environments():
            self.pool.fault(expire=environment_id)

    def expire_when_stored(self) -> None:
        assert eventually(self.is_stored)
        self.expire()


@contextmanager
def notebook(
    folder: Path, *arguments: str, pool_options: dict[str, Any] | None = None
) -> Iterator[Notebook]:
    env = {"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with (
        running_pool(max_concurrent_sessions=50, **(pool_options or {})) as pool,
        running_kernel({**pool.env, **env}, arguments=arguments) as kernel,
    ):
        yield Notebook(kernel, pool, folder)


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


@pytest.mark.parametrize("name", IN_A_FRONT_END)
def test_a_notebook_shows_the_same_though_it_expires_after_each_cell(
    name: str, tmp_path: Path
) -> None:
    cells = IN_A_FRONT_END[name]
    with notebook(tmp_path / "plain") as one:
        expected = [shown(one.run(code)) for code in cells]
    with notebook(tmp_path / "expiring", *SHORT) as one:
        for number, code in enumerate(cells):
            cell = one.run(code)
            if number:
                sentence = cell.stream("stderr")
                assert "The session environment was released after" in sentence
                assert "came back in" in sentence
                assert "not restored" not in sentence
            assert shown(cell) == expected[number], code
            if number < len(cells) - 1:
                one.expire_when_stored()


def test_one_sentence_says_what_came_back_and_what_did_not(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("import math\nx, y = 1, [2]\nopen('f', 'w').write('')\ng = (n for n in y)")
        one.expire_when_stored()
        cell = one.run("print(x, y, 'g' in dir())")
        assert cell.text == "1 [2] False\n"
        assert re.fullmatch(
            r"The session environment was released after \d s without use; "
            r"3 variables and 1 file came back in \d+\.\d s; "
            r"not restored: g \(it is, or holds, a generator, which cannot be stored\)\. "
            r"This cell runs in a new one\.\n",
            cell.stream("stderr"),
        )
        assert one.run("1").stream("stderr") == ""


def test_after_its_checkpoint_a_notebook_that_is_not_used_is_silent(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("x = 1")
        assert eventually(one.is_stored)
        time.sleep(0.3)
        calls = one.pool.calls()
        # Two checkpoints' worth of time.
        time.sleep(1.5)
        assert one.pool.calls() == calls


def test_files_are_the_users_only_and_go_with_the_kernel(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("x = 1")
        assert eventually(one.is_stored)
        (path,) = one.files
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == []


def test_a_kernel_that_expires_often_does_not_grow(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        process = psutil.Process(one.kernel.manager.provisioner.pid)  # type: ignore[union-attr]
        one.run("data = __import__('os').urandom(3_000_000); n = 0")
        sizes, files, memory = [], [], []
        for _ in range(20):
            one.expire_when_stored()
            cell = one.run("n += 1; data = data[1:] + b'x'; print(n, len(data))")
            assert cell.text == f"{len(sizes) + 1} 3000000\n"
            assert eventually(one.is_stored)
            sizes.append(sum(path.stat().st_size for path in one.files))
            files.append(process.num_fds())
            memory.append(process.memory_info().rss)
        assert len(one.files) == 1
        assert max(sizes) < 4_000_000
        assert files[-1] <= files[3] + 1
        assert memory[-1] < memory[5] * 1.2


def test_variables_come_back_after_the_remote_kernel_has_died(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("x = 1\nopen('f', 'w').write('old')")
        assert eventually(one.is_stored)
        cell = one.run("open('f', 'w').write('new'); x = 2\nimport os; os._exit(3)")
        assert cell.error is not None
        assert "the variables that were stored last" in cell.error["evalue"]
        cell = one.run("print(x, open('f').read())")
        assert cell.text == "1 new\n"
        assert "f (there is a newer one)" in cell.stream("stderr")


def test_a_silently_replaced_environment_gets_its_variables_back(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT, pool_options={"quirks": ["silent_replacement"]}) as one:
        one.run("x = [1]; y = x")
        one.expire_when_stored()
        assert one.run("y.append(2); x").result == "[1, 2]"


def test_on_request_nothing_happens_by_itself(tmp_path: Path) -> None:
    arguments = ("--AcaKernel.checkpoint=on-request", "--AcaKernel.restore=on-request")
    with notebook(tmp_path, *SHORT, *arguments) as one:
        one.run("x = 1")
        assert one.run("%aca restore").error is not None
        text = one.run("%aca checkpoint").text
        assert text.startswith("Stored 1 variable and 0 files on your machine in ")
        calls = one.pool.calls()
        time.sleep(1.0)
        assert one.pool.calls() == calls
        one.expire()
        cell = one.run("'x' in dir()")
        assert cell.result == "False"
        assert "`%aca restore` brings back what was stored." in cell.stream("stderr")
        assert "1 variable and 0 files came back" in one.run("%aca restore").text
        cell = one.run("x")
        assert cell.result == "1"
        # The count goes on where the stored history ends.
        assert cell.reply["content"]["execution_count"] == 5


def test_restart_with_keep_brings_everything_along_and_without_it_nothing(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("x = 1")
        before = one.environments()
        assert one.run("%aca restart --keep").error is None
        cell = one.run("x")
        assert cell.result == "1"
        assert one.environments() != before
        one.run("%aca restart")
        assert one.run("'x' in dir()").result == "False"


def test_a_checkpoint_is_taken_after_a_long_cell_if_so_set(tmp_path: Path) -> None:
    with notebook(tmp_path, "--AcaKernel.checkpoint_after_seconds=0.3") as one:
        one.run("x = 1")
        one.run("import time; time.sleep(0.5)")
        assert eventually(one.is_stored)


def test_a_cell_does_not_wait_for_a_checkpoint(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run("import numpy as np\nlarge = np.random.rand(20_000_000)")
        quick = min(timed(one, "1") for _ in range(3))
        one.run("large += 1")
        time.sleep(0.5)
        slowest = 0.0
        while not one.is_stored():
            slowest = max(slowest, timed_unchanged(one))
        assert slowest < quick + 0.5


def timed(one: Notebook, code: str) -> float:
    started = time.monotonic()
    one.kernel.run(code)
    return time.monotonic() - started


def timed_unchanged(one: Notebook) -> float:
    time.sleep(0.02)
    return timed(one, "1")


def test_a_restore_can_be_interrupted(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT) as one:
        one.run(
            "import time\nclass Slow:\n    def __setstate__(self, _): time.sleep(60)\n"
            "    def __getstate__(self): return {'a': 1}\nslow, x = Slow(), 1"
        )
        one.expire_when_stored()
        msg_id = one.kernel.send("x")
        time.sleep(4)
        one.kernel.interrupt()
        cell = one.kernel.collect(msg_id)
        assert cell.error is not None
        assert cell.error["ename"] == "KeyboardInterrupt"
        # The checkpoint is still there.
        assert one.manifest()["named"] == 4


def test_an_environment_is_kept_alive_as_long_as_it_is_told(tmp_path: Path) -> None:
    with notebook(tmp_path, *SHORT, pool_options={"cooldown_seconds": 1}) as one:
        one.run("%aca keep 30m\nx = object()")
        time.sleep(2.5)
        cell = one.run("%aca status\n'x' in dir()")
        assert cell.result == "True"
        (table,) = cell.of_type("display_data")
        assert "kept for 29 min" in table["content"]["data"]["text/plain"]
        assert "cooldown only" in one.run("%aca keep off").text
        time.sleep(3.5)
        assert "released after" in one.run("1").stream("stderr")


@pytest.mark.parametrize(
    "line", ["keep", "keep x", "keep 0m", "keep 30h", "keep 1h 2", "restore x"]
)
def test_a_line_that_means_nothing_is_explained_in_one_sentence(line: str, tmp_path: Path) -> None:
    with notebook(tmp_path) as one:
        error = one.run(f"%aca {line}").error
    assert error is not None
    assert error["ename"] == "AcaError"
