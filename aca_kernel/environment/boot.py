"""The agent's way into a session interpreter, and what it finds there."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import RemoteProtocolError
from ..pool.tool_result import ToolResult
from ..remote import wire
from . import remote_sources
from .environment import Environment

_BOOT = (
    '(lambda p:(lambda g:(exec(p["files"]["loader.py"],g),print(g["load"](p)))and None)'
    '({"__name__":"_aca_loader"}))(__import__("json").loads(__import__("zlib").decompress('
    '__import__("base64").b64decode("%s"))))'
)

_INSTALL = '__import__("sys").modules["_aca_remote.agent"].install()'

# Answers without a frame, one after the other, before the service counts as broken.
MOST_ANSWERS_WITHOUT_FRAME = 5

BOOT_TIMEOUT_SECONDS = 60.0
_INSTALL_TIMEOUT_SECONDS = 220.0


@dataclass(frozen=True)
class Greeting:
    """What the agent found in its environment.

    missing: modules that the remote kernel needs and that are not installed.
    executable: path of the session interpreter.
    wake_paths: of the FIFO that ends a pending exchange; the first that works.
    remote_pid: of the remote kernel, 0 while there is none. directory: the agent's folder.
    """

    missing: tuple[str, ...]
    executable: str
    wake_paths: tuple[str, ...]
    remote_pid: int
    directory: str


async def boot(environment: Environment, nonce: str, config: dict[str, Any]) -> Greeting:
    """Put the agent into the session interpreter and let it start the remote kernel.

    Raises EnvironmentGone and the errors of Environment.persist.
    Raises RemoteProtocolError: the session interpreter cannot run the agent.
    """
    code = code_of(nonce, config, is_near=environment.is_near)
    return await _greet(environment, code, BOOT_TIMEOUT_SECONDS)


def code_of(nonce: str, config: dict[str, Any], *, is_near: bool = False) -> str:
    """Return the code that puts the agent into the session interpreter; it prints its greeting.

    is_near: the environment may see this package, and need not compile what is sent.
    """
    told = {**config, "compiled": remote_sources.folder() if is_near else ""}
    rest = json.dumps({"nonce": nonce, "config": told})[1:]
    start, packer = _packed_sources()
    packer = packer.copy()
    packed = start + packer.compress(f", {rest}".encode("ascii")) + packer.flush()
    return _BOOT % base64.b64encode(packed).decode("ascii")


def split_greeting(text: str) -> tuple[Greeting | None, str]:
    """Take the greeting, if there is one, off what was printed by code of which it was the first.

    Returns it, and what came behind its line.
    """
    start = text.find("~aca1:")
    end = text.find("\n", start)
    if start < 0 or end < 0:
        return None, ""
    try:
        _, page = wire.decode_frame(text[start:end])
    except (wire.FrameMissing, wire.FrameCut, wire.FrameInvalid):
        return None, ""
    return _greeting(page), text[end + 1 :]


async def install(environment: Environment) -> Greeting:
    """Install what the greeting says is missing; return the greeting after that.

    Raises as boot.
    """
    return await _greet(environment, _INSTALL, _INSTALL_TIMEOUT_SECONDS)


async def _greet(environment: Environment, code: str, timeout_seconds: float) -> Greeting:
    failures = 0
    while True:
        result = await environment.persist(
            lambda: environment.run_python(code, timeout_seconds=timeout_seconds)
        )
        try:
            _, page = wire.decode_frame(result.stdout)
            break
        except (wire.FrameMissing, wire.FrameCut, wire.FrameInvalid) as error:
            failures += 1
            if failures >= MOST_ANSWERS_WITHOUT_FRAME:
                raise RemoteProtocolError(
                    "The session environment could not start the kernel in it. "
                    "Restart the kernel to try another environment.",
                    detail=reason_of(result),
                ) from error
            await asyncio.sleep(0.2 * failures)
    return _greeting(page)


def _greeting(page: wire.Page) -> Greeting:
    head = page.head
    return Greeting(
        missing=tuple(str(name) for name in head.get("missing", ())),
        executable=str(head.get("executable", "")),
        wake_paths=tuple(str(path) for path in head.get("wake", ())),
        remote_pid=int(head.get("pid") or 0),
        directory=str(head.get("directory", "")),
    )


@cache
def _packed_sources() -> tuple[bytes, Any]:
    """Return the start of each payload, and the compressor that has made it: for many launches.

    Of a start, each millisecond counts; more than level 3 would take ten for a tenth of the size.
    """
    packer = zlib.compressobj(3)
    sources = json.dumps({"files": remote_sources.relay_half()})[:-1]
    return packer.compress(sources.encode("ascii")), packer


def reason_of(result: ToolResult) -> str:
    """Return what a failed call says, for the log; it ran our code, not the user's."""
    return (result.error_text or result.stderr)[-500:]
