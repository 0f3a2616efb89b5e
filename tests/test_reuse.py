"""Environments that outlive their kernel: who gets them, and what is left in them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support import Client, Pool, eventually, running_kernel, running_pool

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


def test_an_environment_that_has_gone_meanwhile_is_not_missed(runtime: Path) -> None:
    with running_pool(max_concurrent_sessions=2) as pool:
        with running_kernel(pool.env) as kernel:
            use(kernel)
        (file,) = runtime.glob("aca-kernel/*/*.json")
        pool.fault(expire=json.loads(file.read_text())["environment_id"])
        with running_kernel(pool.env) as kernel:
            use(kernel)
            assert kernel.run("1").stream("stderr") == ""
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
