"""Kernels in the batch's own process: none of its own, and what a process has for itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.batch.in_process import InProcessManager
from aca_kernel.batch.leases import Leases
from aca_kernel.kernel.driver import Driver

from ..support import Pool, eventually, running_pool
from .support import TIMEOUT, family, kernels, run, started, texts, write_notebook

WAIT = "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.05)"


@pytest.fixture(scope="module")
def pool():
    with running_pool(isolation="process", max_concurrent_sessions=4) as made:
        yield made


@pytest.mark.parametrize(("words", "expected"), [((), 0), (("--kernel-processes",), 1)])
def test_a_notebook_has_no_process_of_its_own_unless_that_is_wanted(
    tmp_path: Path, pool: Pool, words: tuple[str, ...], expected: int
) -> None:
    gate = tmp_path / "gate"
    path = write_notebook(tmp_path / "x.ipynb", "print('begun')", WAIT.format(str(gate)))
    with started(tmp_path, "x.ipynb", "--inplace", *words, env=pool.env) as batch:
        assert eventually(lambda: texts(path)[0] == "begun\n", TIMEOUT)
        assert len(kernels(family(batch.pid))) == expected
        gate.touch()
        out, _ = batch.communicate(timeout=TIMEOUT)
    assert batch.returncode == 0, out


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
def test_each_notebook_has_its_own_folder_with_files_and_variables(
    tmp_path: Path, pool: Pool, words: tuple[str, ...]
) -> None:
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "aca_kernel_config.py").write_text(
        "c.AcaKernel.environment_file = '.env'\nc.AcaKernel.files = 'on-demand'\n"
    )
    for name in ("a", "b"):
        folder = tmp_path / name
        write_notebook(
            folder / "x.ipynb",
            "open('made.txt', 'w').write('made');",
            "%aca upload data.txt sent.txt\n%aca download made.txt got.txt",
            "print(open('beside.txt').read(), open('sent.txt').read())",
            "import os\nprint(os.environ['OF_FILE'], 'OF_FOLDER' in os.environ)",
        )
        (folder / "data.txt").write_text(f"data {name}")
        (folder / "beside.txt").write_text(f"beside {name}")
        (folder / ".env").write_text(f"OF_FILE=file-{name}\n")
        # What lies beside a notebook is run by nobody.
        (folder / "aca_kernel_config.py").write_text("c.AcaKernel.environment = 'OF_FOLDER=1'\n")
    env = {**pool.env, "JUPYTER_CONFIG_DIR": str(settings)}
    done = run(tmp_path, "a", "b", "--output-dir", "out", "--jobs", "2", *words, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("a", "b"):
        shown = texts(tmp_path / "out" / name / "x.ipynb")
        assert shown[2:] == [f"beside {name} data {name}\n", f"file-{name} False\n"]
        assert (tmp_path / name / "got.txt").read_text() == "made"
    assert not (tmp_path / "got.txt").exists()


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
def test_files_are_found_up_to_the_root_of_each_notebooks_own_repository(
    tmp_path: Path, pool: Pool, words: tuple[str, ...]
) -> None:
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "aca_kernel_config.py").write_text(
        "c.AcaKernel.files = 'on-demand'\nc.AcaKernel.files_root = 'repository'\n"
    )
    (tmp_path / "beyond.txt").write_text("beyond")
    for name in ("a", "b"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "up.txt").write_text(f"up {name}")
        write_notebook(
            tmp_path / name / "books" / "x.ipynb",
            "print(open('../up.txt').read())",
            ("open('../../beyond.txt')", "raises-exception"),
        )
    env = {**pool.env, "JUPYTER_CONFIG_DIR": str(settings)}
    done = run(tmp_path, "a", "b", "--output-dir", "out", "--jobs", "2", *words, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("a", "b"):
        shown = texts(tmp_path / "out" / name / "books" / "x.ipynb")
        assert shown == [f"up {name}\n", "FileNotFoundError"]


def test_the_variables_of_a_kernelspec_are_its_kernels_settings_and_reach_its_cells(
    tmp_path: Path, pool: Pool
) -> None:
    spec = tmp_path / "jupyter" / "kernels" / "mine"
    spec.mkdir(parents=True)
    argv = ["python", "-m", "aca_kernel", "--kernelspec", "{resource_dir}"]
    (spec / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [*argv, "-f", "{connection_file}"],
                "display_name": "mine",
                "language": "python",
                "env": {"ACA_MCP_API_KEY": pool.api_key, "OF_SPEC": "${WORD} there"},
            }
        )
    )
    path = write_notebook(
        tmp_path / "x.ipynb", "import os; print(os.environ['OF_SPEC'])", kernel="mine"
    )
    env = {
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "ACA_MCP_ENDPOINT": pool.endpoint,
        "WORD": "is",
    }
    done = run(tmp_path, "x.ipynb", "--inplace", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(path) == ["is there\n"]


def test_a_kernel_gets_the_connections_that_the_one_before_it_has_left() -> None:
    leases = Leases(["--AcaKernel.endpoint=https://localhost:1/mcp"], "", {"ACA_MCP_API_KEY": "k"})
    first, second = leases.take(), leases.take()
    assert first.backend is not second.backend
    assert first.settings.api_key == "k"
    leases.give_back(first)
    assert leases.take() is first


def test_a_kernel_gets_the_environment_that_the_one_before_it_has_left(tmp_path: Path) -> None:
    for n in range(3):
        write_notebook(tmp_path / f"{n}.ipynb", "1")
    with running_pool(isolation="process", max_concurrent_sessions=1) as one:
        done = run(tmp_path, ".", "--inplace", "--jobs", "1", env=one.env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert one.calls()["launchShell"] == 1


def test_a_kernel_that_fails_ends_alone(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pool.env.items():
        monkeypatch.setenv(name, value)
    carry_out = Driver._carry_out_all
    failing: list[Driver] = []

    def fail(driver: Driver, commands: list[Any]) -> None:
        if driver in failing:
            raise ValueError("a defect")
        carry_out(driver, commands)

    monkeypatch.setattr(Driver, "_carry_out_all", fail)

    async def work() -> None:
        leases = Leases([], "", {})
        managers = [InProcessManager(leases, str(tmp_path)) for _ in range(2)]
        for one in managers:
            await one.start_kernel()
        first, second = (one.client() for one in managers)
        assert managers[0]._driver is not None
        failing.append(managers[0]._driver)
        first.execute("1")
        while await first.is_alive():
            await asyncio.sleep(0.01)
        assert (managers[0].failure, await managers[0].poll()) == ("ValueError", 1)
        failing.clear()
        msg_id = second.execute("1 + 1")
        while True:
            reply = await second.shell_channel.get_msg(timeout=TIMEOUT)
            if reply["parent_header"]["msg_id"] == msg_id:
                break
        assert reply["content"]["status"] == "ok"
        assert await second.is_alive()
        for one in managers:
            await one.shutdown_kernel()
            assert not await one.is_alive()
        await leases.close()

    asyncio.run(work())
