"""Environments that outlive their kernel: who gets them, and what is left in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from aca_kernel.environment import launch as launch_module
from aca_kernel.environment.boot import Greeting
from aca_kernel.environment.launch import Launcher
from aca_kernel.environment.relay import Relay
from aca_kernel.pool.backend import EndpointBackend
from aca_kernel.settings import AcaKernel

from ..support import (
    QUICK_TOOLS,
    TIMEOUT,
    Client,
    Pool,
    eventually,
    running_kernel,
    running_pool,
)

LOG = logging.getLogger("test")

# A package that ends each Python that imports ipykernel, as a wrong version of traitlets does.
BREAK = """
import os, sysconfig
folder = os.path.join(sysconfig.get_path("purelib"), "ipykernel")
os.mkdir(folder)
with open(os.path.join(folder, "__init__.py"), "w") as file:
    file.write("raise ImportError('no such thing')")
"""
BROKEN = "ImportError: no such thing"
START = "%%writefile left.txt\nsomething"
CHECK = "import os; (os.listdir(), 'kept' in globals())"
FRESH = "([], False)"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of the test's own."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def one_place(runtime: Path) -> Iterator[Pool]:
    """A pool with one place, which a second environment would wait for in vain."""
    assert runtime.is_dir()
    with running_pool(max_concurrent_sessions=1) as pool:
        yield pool


@dataclass
class Pair:
    """Two kernels: one holds the pool's one place, and the other one has none."""

    runtime: Path
    pool: Pool
    holder: Client
    waiting: Client

    def let_one_wait(self) -> str:
        """Return the message id of its cell."""
        leave_something(self.holder)
        cell = self.waiting.send(CHECK)
        self.waiting.wait_for_stream(cell, "Waiting")
        return cell

    def interrupt_waiting(self, cell: str) -> None:
        self.waiting.interrupt()
        error = self.waiting.collect(cell).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    runtime = tmp_path_factory.mktemp("pair")
    with running_pool(max_concurrent_sessions=1) as pool:
        env = {**pool.env, "JUPYTER_RUNTIME_DIR": str(runtime)}
        with running_kernel(env) as holder, running_kernel(env) as waiting:
            yield Pair(runtime, pool, holder, waiting)


def use(kernel: Client) -> None:
    """Run cells that find nothing of others, and leave something behind."""
    assert kernel.run(CHECK).result == FRESH
    leave_something(kernel)


def leave_something(kernel: Client) -> None:
    """Leave a variable, a file and a process behind."""
    kernel.run("kept = 1")
    assert kernel.run(START).status == "ok"
    daemon = "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True).pid"
    assert kernel.run(daemon).result


def sessions(pool: Pool) -> int:
    return int(pool.stats()["sessions"]["allocated"])


def threads_of(pool: Pool) -> set[str]:
    """Name the threads of the processes in a pool's environments."""
    names = set()
    for pid in pool.processes():
        for path in Path(f"/proc/{pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):
                names.add(path.read_text().strip())
    return names


def test_an_environment_that_nobody_uses_does_not_look_for_its_kernel(one_place: Pool) -> None:
    with running_kernel(one_place.env) as kernel:
        kernel.run("1")
        assert any(name.startswith("ZMQ") for name in threads_of(one_place))
    assert eventually(lambda: not any(name.startswith("ZMQ") for name in threads_of(one_place)))
    assert sessions(one_place) == 1


def test_any_number_of_restarts_needs_one_place(one_place: Pool) -> None:
    with running_kernel(one_place.env) as kernel:
        for n in range(4):
            use(kernel)
            kernel.restart(now=n % 2 == 0)
        assert kernel.run(CHECK).result == FRESH
        assert kernel.run("'alone'").reply["content"]["execution_count"] == 2


@pytest.mark.parametrize("interpreter", ["light", "ipykernel"])
def test_the_next_kernel_starts_afresh_in_what_the_last_one_left(
    runtime: Path, interpreter: str
) -> None:
    assert runtime.is_dir()
    with running_pool(max_concurrent_sessions=1, interpreter=interpreter) as pool:
        for is_killed in (False, False, True, False):
            with running_kernel(pool.env, arguments=("--AcaKernel.reuse=user",)) as kernel:
                use(kernel)
                running = kernel.run("!pgrep -c sleep || true").text.split()
                assert running == ["1"]
                if is_killed:
                    cell = kernel.send("print('on', flush=True)\nwhile True: pass")
                    kernel.wait_for_stream(cell, "on")
                    os.kill(kernel.pid, signal.SIGKILL)
        assert sessions(pool) == 1


@pytest.mark.parametrize("reuse", ["restart", "never"])
def test_the_setting_says_who_gets_it(runtime: Path, reuse: str) -> None:
    setting = (f"--AcaKernel.reuse={reuse}",)
    with running_pool(max_concurrent_sessions=3) as pool:
        with running_kernel(pool.env, arguments=setting) as kernel:
            use(kernel)
            if reuse == "restart":
                kernel.restart()
                use(kernel)
        assert sessions(pool) == 1
        with running_kernel(pool.env, arguments=setting) as kernel:
            use(kernel)
        assert sessions(pool) == 2
    assert runtime.is_dir()


def test_a_restarted_kernel_that_waits_no_longer_for_its_environment_still_finds_it(
    one_place: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = AcaKernel(
        endpoint=one_place.endpoint, api_key=one_place.api_key, pool_full_timeout_seconds=0
    )
    config = {"kernel_id": "one", "session": "one", "username": "", "traits": {}, "arguments": []}
    config |= {"refused": [], "variables": {}, "packages": {}}

    async def launch(boots: asyncio.Event | None) -> str:
        backend = EndpointBackend(settings)
        launcher = Launcher(backend, settings, config, asyncio.Queue(), LOG)
        if boots is not None:
            launcher.prepare()
            await asyncio.wait_for(boots.wait(), TIMEOUT)
            monkeypatch.setattr(launch_module, "_PREPARED_WITHIN_SECONDS", 0.0)
        launched = await launcher.launch()
        launched.environment.release(keep=True, for_restart=True)
        await backend.close()
        return launched.environment.environment_id

    async def restart() -> list[str]:
        first, boots, boot = await launch(None), asyncio.Event(), Relay.boot

        async def boot_told(relay: Relay) -> Greeting:
            boots.set()
            return await boot(relay)

        monkeypatch.setattr(Relay, "boot", boot_told)
        return [first, await launch(boots)]

    first, second = asyncio.run(restart())
    assert first == second


def test_kernels_at_the_same_time_never_share_one(runtime: Path) -> None:
    assert runtime.is_dir()
    with running_pool(max_concurrent_sessions=4) as pool:
        for count in (2, 4):
            with contextlib.ExitStack() as stack:
                kernels = [stack.enter_context(running_kernel(pool.env)) for _ in range(count)]
                # None of them has an environment yet: all of them look for one now.
                first = [kernel.send(CHECK) for kernel in kernels]
                for kernel, msg_id in zip(kernels, first, strict=True):
                    assert kernel.collect(msg_id).result == FRESH
                for kernel in kernels:
                    use(kernel)
            assert sessions(pool) == count


def test_what_ran_in_plain_mode_is_not_handed_over(runtime: Path) -> None:
    plain = ("--AcaKernel.install_ipykernel=False",)
    with running_pool(max_concurrent_sessions=2, quirks=["no_ipykernel"]) as pool:
        for _ in range(2):
            with running_kernel(pool.env, arguments=plain) as kernel:
                assert kernel.run("'kept' in globals()").result == "False"
                kernel.run("kept = 1")
                assert list(runtime.glob("aca-kernel/*/*.json")) == []


@pytest.mark.parametrize("interpreter", ["light", "ipykernel"])
def test_an_environment_whose_packages_are_broken_is_handed_to_nobody(
    runtime: Path, interpreter: str
) -> None:
    assert runtime.is_dir()
    with running_pool(max_concurrent_sessions=8, interpreter=interpreter) as pool:
        # Its next remote kernel, the next kernel, and the kernel of somebody else.
        with running_kernel(pool.env) as kernel:
            assert kernel.run(BREAK).status == "ok"
            kernel.run("import os; os._exit(1)")
            cell = kernel.run("1 + 1")
            assert cell.result == "2"
            assert f"could not be started again: {BROKEN}," in cell.said
            assert kernel.run(BREAK).status == "ok"
            kernel.restart()
            cell = kernel.run("1 + 1")
            assert cell.result == "2"
            assert f"that an earlier kernel has left: {BROKEN}." in cell.said
            assert kernel.run(BREAK).status == "ok"
        with running_kernel(pool.env) as kernel:
            cell = kernel.run("1 + 1")
            assert cell.result == "2"
            assert f"that an earlier kernel has left: {BROKEN}." in cell.said
            assert kernel.run("1 + 1").said == ""
        assert sessions(pool) == 4
        with running_kernel(pool.env) as kernel:
            assert kernel.run("1 + 1").said == ""
        assert sessions(pool) == 4


LACKS_ZMQ = "import sys; sys.modules['zmq'] = None"
ODD_ZMQ = "import sys, types; sys.modules['zmq'] = types.SimpleNamespace(__spec__=1)"


def test_an_environment_whose_interpreter_is_broken_is_handed_to_nobody(runtime: Path) -> None:
    with running_pool(max_concurrent_sessions=8) as pool:

        def use_and_break(kernel: Client, code: str) -> None:
            use(kernel)
            assert kernel.run("1").said == ""
            (file,) = runtime.glob("aca-kernel/*/*.json")
            environment_id = json.loads(file.read_text())["environment_id"]
            pool.call(
                "runPythonCodeInRemoteEnvironment", environmentId=environment_id, pythonCode=code
            )

        with running_kernel(pool.env) as kernel:
            for code in (LACKS_ZMQ, ODD_ZMQ):
                use_and_break(kernel, code)
                kernel.restart()
            use_and_break(kernel, LACKS_ZMQ)
        with running_kernel(pool.env) as kernel:
            use_and_break(kernel, ODD_ZMQ)
        with running_kernel(pool.env) as kernel:
            use(kernel)
            assert kernel.run("1").said == ""
        assert sessions(pool) == 5


def test_an_environment_that_has_gone_meanwhile_is_not_missed(runtime: Path) -> None:
    with running_pool(max_concurrent_sessions=2) as pool:
        with running_kernel(pool.env) as kernel:
            use(kernel)
        (file,) = runtime.glob("aca-kernel/*/*.json")
        pool.fault(expire=json.loads(file.read_text())["environment_id"])
        with running_kernel(pool.env) as kernel:
            use(kernel)
            assert kernel.run("1").said == ""
        files = list(runtime.glob("aca-kernel/*/*.json"))
        assert len(files) == 1


def test_the_files_are_the_owners_and_hold_no_key(runtime: Path, one_place: Pool) -> None:
    with running_kernel(one_place.env) as kernel:
        use(kernel)
        (file,) = runtime.glob("aca-kernel/*/*.json")
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
        assert one_place.api_key not in file.read_text()
        assert str(kernel.manager.session.key) not in file.read_text()
    assert eventually(file.exists)
    # Nonsense in them disturbs nobody.
    (file.parent / "x.json").write_text('{"environment_id": 7}')
    (file.parent / "y.json").write_bytes(b"\xff\x00")
    with running_kernel(one_place.env) as kernel:
        use(kernel)


def test_who_waits_for_a_full_pool_gets_what_the_next_to_end_leaves(one_place: Pool) -> None:
    with running_kernel(one_place.env) as waiting:
        with running_kernel(one_place.env) as holder:
            use(holder)
            cell = waiting.send(CHECK)
            waiting.wait_for_stream(cell, "Waiting")
        # Its cooldown would take five minutes.
        assert waiting.collect(cell).result == FRESH
    assert sessions(one_place) == 1


@pytest.mark.parametrize("now", [False, True])
def test_a_restarted_kernel_keeps_its_place_though_others_wait(pair: Pair, now: bool) -> None:
    cell = pair.let_one_wait()
    pair.holder.restart(now=now)
    assert pair.holder.run(CHECK).result == FRESH
    pair.holder.run("'still mine'")
    assert [one for one in pair.waiting.drain() if one["msg_type"] == "execute_result"] == []
    pair.interrupt_waiting(cell)
    assert sessions(pair.pool) == 1


def test_who_gives_up_waiting_leaves_nothing_behind(pair: Pair) -> None:
    cell = pair.let_one_wait()
    assert len(list(pair.runtime.glob("aca-kernel/*/*.json"))) == 2
    pair.interrupt_waiting(cell)
    assert eventually(lambda: len(list(pair.runtime.glob("aca-kernel/*/*.json"))) == 1)
    assert eventually(lambda: not list(pair.runtime.glob("aca-kernel-waiting/*/*")))


def test_notebooks_one_after_another_need_one_place(one_place: Pool, tmp_path: Path) -> None:
    """Run by `jupyter execute`, nbconvert, papermill and nbclient, which know nothing of it."""
    names = [f"{n}.ipynb" for n in range(5)]
    for name in names:
        cells = [nbformat.v4.new_code_cell(source) for source in (CHECK, "kept = 1", START)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "aca", "display_name": "aca", "language": "python"}
        nbformat.write(notebook, tmp_path / name)
    env = {**os.environ, **QUICK_TOOLS, **one_place.env}
    for command in (
        ["jupyter", "execute", "--inplace", *names[:2]],
        ["nbconvert", "--to", "notebook", "--execute", "--inplace", names[2]],
        ["papermill", names[3], names[3]],
    ):
        words = [sys.executable, "-m", *command]
        subprocess.run(words, cwd=tmp_path, env=env, check=True, timeout=TIMEOUT)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in one_place.env.items():
            patch.setenv(name, value)
        book = nbformat.read(tmp_path / names[4], as_version=4)
        NotebookClient(book).execute()
        nbformat.write(book, tmp_path / names[4])
    for name in names:
        shown = nbformat.read(tmp_path / name, as_version=4).cells[0].outputs[0]
        assert shown.data["text/plain"] == FRESH
    # Anything more would have been refused for the five minutes of the cooldown.
    assert sessions(one_place) == 1
