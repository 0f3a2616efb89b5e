"""Environments that outlive their kernel: who gets them, and what is left in them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from aca_kernel.environment import launch as launch_module
from aca_kernel.environment.boot import Greeting
from aca_kernel.environment.handover import ClaimState, WarmEnvironments
from aca_kernel.environment.launch import Launcher
from aca_kernel.environment.lock_files import forget_pool
from aca_kernel.environment.relay import Relay
from aca_kernel.pool.backend import EndpointBackend
from aca_kernel.settings import AcaKernel

from ..support import TIMEOUT, Client, Pool, eventually, running_kernel, running_pool

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


def use(kernel: Client) -> None:
    """Run cells that leave a variable, a file and a process behind."""
    assert kernel.run(CHECK).result == FRESH
    kernel.run("kept = 1")
    assert kernel.run(START).status == "ok"
    daemon = "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True).pid"
    assert kernel.run(daemon).result


def sessions(pool: Pool) -> int:
    return int(pool.stats()["sessions"]["allocated"])


def test_twenty_restarts_need_one_place(one_place: Pool) -> None:
    with running_kernel(one_place.env) as kernel:
        for n in range(20):
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
        for _ in range(4):
            with running_kernel(pool.env) as kernel:
                use(kernel)
                running = kernel.run("!pgrep -c sleep || true").text.split()
                assert running == ["1"]


def test_a_kernel_that_was_killed_leaves_its_environment_too(one_place: Pool) -> None:
    with running_kernel(one_place.env) as kernel:
        use(kernel)
        running = kernel.send("print('on', flush=True)\nwhile True: pass")
        kernel.wait_for_stream(running, "on")
        os.kill(kernel.pid, signal.SIGKILL)
    with running_kernel(one_place.env) as kernel:
        use(kernel)


@pytest.mark.parametrize(("reuse", "places"), [("user", 1), ("restart", 2), ("never", 2)])
def test_the_setting_says_who_gets_it(runtime: Path, reuse: str, places: int) -> None:
    setting = (f"--AcaKernel.reuse={reuse}",)
    with running_pool(max_concurrent_sessions=3) as pool:
        for _ in range(2):
            with running_kernel(pool.env, arguments=setting) as kernel:
                use(kernel)
        assert sessions(pool) == places
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


def test_restart_is_an_own_thing(runtime: Path) -> None:
    with running_pool(max_concurrent_sessions=3) as pool:
        arguments = ("--AcaKernel.reuse=restart",)
        with running_kernel(pool.env, arguments=arguments) as kernel:
            use(kernel)
            kernel.restart()
            use(kernel)
        assert sessions(pool) == 1
    assert runtime.is_dir()


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


@pytest.mark.parametrize("code", [LACKS_ZMQ, ODD_ZMQ])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_environment_whose_interpreter_is_broken_is_handed_to_nobody(
    runtime: Path, code: str, is_restarted: bool
) -> None:
    with running_pool(max_concurrent_sessions=8) as pool:
        with running_kernel(pool.env) as kernel:
            use(kernel)
            (file,) = runtime.glob("aca-kernel/*/*.json")
            run_in_session_interpreter(pool, json.loads(file.read_text())["environment_id"], code)
            if is_restarted:
                kernel.restart()
                use(kernel)
        with running_kernel(pool.env) as kernel:
            use(kernel)
            assert kernel.run("1").said == ""
        assert sessions(pool) == 2


def run_in_session_interpreter(pool: Pool, environment_id: str, code: str) -> None:
    arguments = {"environmentId": environment_id, "pythonCode": code}
    params = {"name": "runPythonCodeInRemoteEnvironment", "arguments": arguments}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = httpx.post(pool.endpoint, headers=pool.headers, json=request, timeout=TIMEOUT)
    assert answer.json()["result"]["isError"] is False


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
def test_a_restarted_kernel_keeps_its_place_though_others_wait(one_place: Pool, now: bool) -> None:
    with running_kernel(one_place.env) as waiting, running_kernel(one_place.env) as holder:
        use(holder)
        cell = waiting.send(CHECK)
        waiting.wait_for_stream(cell, "Waiting")
        holder.restart(now=now)
        assert holder.run(CHECK).result == FRESH
        holder.run("'still mine'")
        assert [one for one in waiting.drain() if one["msg_type"] == "execute_result"] == []
        waiting.interrupt()
        assert waiting.collect(cell).error is not None
    assert sessions(one_place) == 1


def test_who_gives_up_waiting_leaves_nothing_behind(one_place: Pool, runtime: Path) -> None:
    with running_kernel(one_place.env) as holder, running_kernel(one_place.env) as waiting:
        use(holder)
        cell = waiting.send("1")
        waiting.wait_for_stream(cell, "Waiting")
        assert len(list(runtime.glob("aca-kernel/*/*.json"))) == 2
        waiting.interrupt()
        error = waiting.collect(cell).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"
        assert eventually(lambda: len(list(runtime.glob("aca-kernel/*/*.json"))) == 1)
        assert eventually(lambda: not list(runtime.glob("aca-kernel-waiting/*/*")))


def test_notebooks_one_after_another_need_one_place(one_place: Pool, tmp_path: Path) -> None:
    """Run by `jupyter execute`, nbconvert, papermill and nbclient, which know nothing of it."""
    names = [f"{n}.ipynb" for n in range(4)]
    for name in names:
        cells = [nbformat.v4.new_code_cell(source) for source in (CHECK, "kept = 1", START)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "aca", "display_name": "aca", "language": "python"}
        nbformat.write(notebook, tmp_path / name)
    env = {**os.environ, **one_place.env}
    for command in (
        ["jupyter", "execute", "--inplace", *names],
        ["nbconvert", "--to", "notebook", "--execute", "--inplace", names[0]],
        ["papermill", names[1], names[1]],
    ):
        words = [sys.executable, "-m", *command]
        subprocess.run(words, cwd=tmp_path, env=env, check=True, timeout=TIMEOUT)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in one_place.env.items():
            patch.setenv(name, value)
        NotebookClient(nbformat.read(tmp_path / names[2], as_version=4)).execute()
    for name in names:
        shown = nbformat.read(tmp_path / name, as_version=4).cells[0].outputs[0]
        assert shown.data["text/plain"] == FRESH
    # Anything more would have been refused for the five minutes of the cooldown.
    assert sessions(one_place) == 1


# -- the list --------------------------------------------------------------------------


def environments(owner: str, *, is_shared: bool = True) -> WarmEnvironments:
    return WarmEnvironments("https://pool.example", owner, is_shared=is_shared, log=LOG)


def left_by(owner: str, state: ClaimState | None, environment_id: str = "id") -> None:
    """List an environment whose kernel has ended, in one way or another."""
    claim = environments(owner).add(environment_id)
    assert claim is not None
    claim.write(ClaimState.USED if state is not ClaimState.NEW else state)
    if state in (ClaimState.LEFT, ClaimState.RESTARTING):
        claim.release(keep=True, for_restart=state is ClaimState.RESTARTING)
    else:
        os.close(claim.file.descriptor)


def taken(warm: WarmEnvironments, **options: bool) -> list[str]:
    """What a kernel would be offered; it lets all of it go again, as a killed one does."""
    found = []
    for claim in warm.take(300, **options):
        found.append(claim.environment_id)
        os.close(claim.file.descriptor)
    return found


@pytest.mark.parametrize(
    ("state", "by_others", "by_waiting"),
    [
        (ClaimState.LEFT, ["id"], ["id"]),
        (ClaimState.USED, ["id"], []),
        (ClaimState.RESTARTING, [], []),
        (ClaimState.NEW, [], []),
    ],
)
def test_who_may_have_an_environment_depends_on_how_its_kernel_ended(
    runtime: Path, state: ClaimState, by_others: list[str], by_waiting: list[str]
) -> None:
    left_by("one", state)
    assert taken(environments("two", is_shared=False)) == []
    assert taken(environments("two"), others_wait=True) == []
    assert taken(environments("two"), is_waiting=True) == by_waiting
    left_by("one", state)
    assert taken(environments("two")) == by_others
    left_by("one", state)
    own = [] if state is ClaimState.NEW else ["id"]
    assert taken(environments("one", is_shared=False), others_wait=True, is_waiting=True) == own
    assert len(list(runtime.glob("aca-kernel/*/*.json"))) == len(own)


def test_what_nobody_comes_back_for_is_everybodys_after_a_while(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime.is_dir()
    left_by("one", ClaimState.RESTARTING, "first")
    left_by("one", ClaimState.USED, "second")
    waiting = environments("two")
    assert taken(waiting, is_waiting=True) == []
    monkeypatch.setattr("aca_kernel.environment.handover._RESTART_SECONDS", 0.0)
    assert sorted(taken(waiting, is_waiting=True)) == ["first", "second"]


def test_what_a_pool_leaves_that_has_ended_is_removed(runtime: Path) -> None:
    left_by("one", ClaimState.LEFT)
    forget_pool("https://pool.example")
    assert list(runtime.glob("aca-kernel/*")) == []
    assert taken(environments("one")) == []


def test_folders_of_pools_that_nobody_uses_any_more_go(runtime: Path) -> None:
    left_by("one", ClaimState.LEFT)
    (folder,) = runtime.glob("aca-kernel/*")
    long_ago = time.time() - 2 * 24 * 3600
    for path in (*folder.iterdir(), folder):
        os.utime(path, (long_ago, long_ago))
    other = WarmEnvironments("https://other.example", "two", is_shared=True, log=LOG)
    for environment_id in ("its file goes", "and it, a day later"):
        assert other.add(environment_id) is not None
        if folder.exists():
            assert list(folder.iterdir()) == []
            os.utime(folder, (long_ago, long_ago))
    assert not folder.exists()


def test_pools_may_end_while_an_environment_is_listed(runtime: Path) -> None:
    assert runtime.is_dir()
    # Another process, which does not have to wait for this one's interpreter lock.
    ending = """
from aca_kernel.environment.handover import WarmEnvironments
from aca_kernel.environment.lock_files import forget_pool
import logging
pools = [f"https://pool-{n}.example" for n in range(20)]
while True:
    for pool in pools:
        warm = WarmEnvironments(pool, "one", is_shared=True, log=logging.getLogger())
        warm.add("id").release(keep=True)
    for pool in pools:
        forget_pool(pool)
    print(flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", ending], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            for n in range(1500):
                claim = environments("two").add(f"id {n}")
                assert claim is not None
                claim.release(keep=False)
            assert process.poll() is None
        finally:
            process.kill()


def test_nobody_sees_an_environment_before_its_kernel_holds_it(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    lock = fcntl.flock

    def look_and_lock(descriptor: int, operation: int) -> None:
        seen.extend(runtime.glob("aca-kernel/*/*.json"))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", look_and_lock)
    claim = environments("one").add("id")
    assert claim is not None
    assert seen == []
    assert list(runtime.glob("aca-kernel/*/*")) == [claim.file.path]
    claim.release(keep=False)
    assert list(runtime.glob("aca-kernel/*/*")) == []
