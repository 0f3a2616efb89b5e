"""Checkpoints beside what else happens to environments: other kernels, restarts, other pools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import Pool, running_pool
from .expiring import AFTER_EACH_CELL, notebook

# Folders of agents, where checkpoints are made, and variables.
LEFT = (
    "import glob, tempfile\n"
    "len(glob.glob(tempfile.gettempdir() + '/aca-*/_aca_remote')), 'x' in dir()"
)


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[Pool]:
    with running_pool(max_concurrent_sessions=1) as pool:
        yield pool


@pytest.fixture
def one_place(shared_pool: Pool) -> Iterator[Pool]:
    """A pool where only an environment that is handed over can be had at once."""
    yield shared_pool
    shared_pool.expire()


def test_the_kernel_that_takes_an_environment_over_begins_its_own_history(
    one_place: Pool, tmp_path: Path
) -> None:
    with notebook(tmp_path, *AFTER_EACH_CELL, pool=one_place) as one:
        one.run("x = [1]; open('f', 'w').write('first')")
        one.wait_until_stored()
        before = one.environments()
    with notebook(tmp_path, *AFTER_EACH_CELL, pool=one_place) as one:
        # Its first cell: behind that, there is a checkpoint of its own.
        error = one.run("y = 2\n%aca restore").error
        assert error is not None
        assert "There is nothing to restore" in error["evalue"]
        assert one.run(LEFT).result == "(1, False)"
        assert one.environments() == before
        one.expire_when_stored()
        cell = one.run("'x' in dir(), y, __import__('os').path.exists('f')")
        assert cell.result == "(False, 2, False)"
        assert "not restored" not in cell.said


def test_a_restart_is_clean_and_what_was_stored_before_does_not_come_back(
    one_place: Pool, tmp_path: Path
) -> None:
    with notebook(tmp_path, *AFTER_EACH_CELL, pool=one_place) as one:
        one.run("x = [1]")
        one.wait_until_stored()
        one.restart()
        cell = one.run(LEFT)
        assert cell.result == "(1, False)"
        assert cell.said == ""
        one.expire_when_stored()
        assert one.run("'x' in dir()").result == "False"
        one.run("x = [2]")
        one.expire_when_stored()
        # Nor does it if the environment has ended before the restart.
        one.restart()
        assert one.run("'x' in dir()").result == "False"


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_is_kept_is_for_the_next_kernel_of_the_notebook_on_request(
    one_place: Pool, tmp_path: Path, is_killed: bool
) -> None:
    arguments = (*AFTER_EACH_CELL, "--AcaKernel.checkpoint_keep=True")
    env = {"JPY_SESSION_NAME": "/a/notebook.ipynb"}
    with notebook(tmp_path, *arguments, pool=one_place, env=env) as one:
        one.run("x = [1]")
        hashed = one.run("hash('text')").result
        one.wait_until_stored()
        if is_killed:
            one.kernel.restart(now=True)
            assert one.run("'x' in dir()\n%aca restore").error is None
            assert one.run("x").result == "[1]"
            assert one.run("hash('text')").result == hashed
            return
    with notebook(tmp_path, *arguments, pool=one_place, env=env) as one:
        assert one.run("'x' in dir()").result == "False"
        assert one.run("hash('text')").result == hashed
        assert len(one.files) == 1


@pytest.mark.parametrize("options", [{"interpreter": "ipykernel"}, {"isolation": "process"}])
def test_every_kind_of_session_is_stored_and_restored(
    options: dict[str, str], tmp_path: Path
) -> None:
    with notebook(tmp_path, *AFTER_EACH_CELL, pool_options=options) as one:
        one.run("class A: pass\na = A(); a.same = a; open('f', 'w').write('text')")
        one.expire_when_stored()
        cell = one.run("print(a.same is a, type(a) is A, open('f').read())")
        assert cell.text == "True True text\n"
        assert "2 variables and 1 file came back" in cell.said
        assert one.run("%aca restart --keep").error is None
        assert one.run("a.same is a").result == "True"
