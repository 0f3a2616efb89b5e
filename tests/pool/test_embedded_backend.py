"""The embedded pool's greeting reaches whoever asks for the pool, whatever became of others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from aca_kernel.errors import PoolNotStarted
from aca_kernel.pool.embedded_backend import EmbeddedBackend
from aca_kernel.pool.embedded_process import stop
from aca_kernel.settings import AcaKernel

from ..support import AT_ONCE

_GREETING = {"endpoint": "http://127.0.0.1:9/mcp", "api_key": "a-key"}

# Greets when it is told how, as a pool does when it serves; ends with its standard input.
_POOL = "import sys; print(sys.stdin.readline(), flush=True); sys.stdin.read()"


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _POOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _greet(process: subprocess.Popen[bytes], greeting: dict[str, str]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(greeting).encode() + b"\n")
    process.stdin.flush()


def test_a_launch_that_is_interrupted_leaves_the_greeting_to_the_next() -> None:
    async def connect() -> str:
        process = _start()
        backend = EmbeddedBackend(AcaKernel(), process)
        interrupted = asyncio.ensure_future(backend.connect())
        await asyncio.wait([interrupted], timeout=0.1)
        interrupted.cancel()
        await asyncio.gather(interrupted, return_exceptions=True)
        _greet(process, _GREETING)
        try:
            client = await asyncio.wait_for(backend.connect(), AT_ONCE)
        finally:
            await backend.close()
        return client.endpoint

    assert asyncio.run(connect()) == _GREETING["endpoint"]


def test_a_pool_that_does_not_start_is_left_to_nobody() -> None:
    process = _start()
    _greet(process, {"error": "There is no room."})

    async def connect() -> None:
        await EmbeddedBackend(AcaKernel(), process).connect()

    with pytest.raises(PoolNotStarted, match="There is no room"):
        asyncio.run(connect())
    assert process.poll() is not None


@pytest.mark.skipif(sys.platform == "win32", reason="there, its output is closed at once")
def test_a_pool_that_still_says_something_ends_as_it_should() -> None:
    # More than a pipe holds.
    code = "import sys; sys.stdin.read(); print('x' * 1_000_000, flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    stop(process)
    assert process.returncode == 0
