"""A transfer into an environment of a session pool, and out of it, by the pool's tools.

No kernel need be there: far_end.py is sent into the session interpreter. What it says is checked
here, as what an environment says always is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import secrets
import sys
import zlib
from functools import cache
from importlib import resources
from typing import Any

from ...app import backend_of
from ...environment.boot import MOST_ANSWERS_WITHOUT_FRAME, reason_of
from ...environment.environment import Environment
from ...environment.page_size import PageSize, SentSize
from ...errors import LocalProtocolError, RemoteProtocolError, SettingInvalid
from ...host.folder_transfer import open_source, take_folder
from ...remote import wire
from ...remote.command_line import Command
from ...remote.folder_stream import PartialFolder, SourceFolder, pack, too_many
from ...remote.paged_files import FileProblem, PartialFile, target_path
from ...remote.transfer_progress import TransferProgress, folder_summary
from ...settings import AcaKernel
from ...system import is_plain_path

# A page may stand in line behind a cell's exchange, which is held open for some seconds.
_CALL_SECONDS = 120.0

# So long the far end is waited for, to remove what was begun there.
_DROP_SECONDS = 5.0

# Of as many files as a folder may have, with names of a hundred characters, it takes a fourth.
_LONGEST_LISTING = 64 * 1024 * 1024

_ABSENT = "~aca1:none~"

# In the order in which one imports the other; a name without a source is a package.
_SENT = ("remote/wire", "remote/paged_files", "remote/folder_stream", "cli/files/far_end")

_LOAD = """
import sys, types
def load(name, sources):
    def module(path):
        full = ".".join([name, *path.split("/")]) if path else name
        sys.modules[full] = made = types.ModuleType(full)
        return made
    for path in ("", "remote", "cli", "cli/files"):
        module(path).__path__ = []
    for path, source in sources:
        made = module(path)
        made.__package__ = made.__name__.rpartition(".")[0]
        setattr(sys.modules[made.__package__], path.rpartition("/")[2], made)
        exec(compile(source, made.__name__, "exec"), made.__dict__)
"""


async def transfer_in(settings: AcaKernel, environment_id: str, command: Command) -> str:
    """Transfer a file or folder; return a sentence about it.

    Raises FileProblem, SettingInvalid and the errors of the pool.
    """
    if settings.place == "embedded":
        raise SettingInvalid(
            "An environment's id says nothing without its pool. Give --endpoint, or "
            "--resource-group and --pool."
        )
    backend = backend_of(settings)
    try:
        client = await backend.connect()
        await client.initialize()
        # Nobody reads the queue: a wait shows by itself.
        environment = Environment(backend, client, environment_id, settings, asyncio.Queue())
        far = _FarEnd(environment)
        try:
            return await (_send if command.name == "upload" else _bring)(far, command)
        finally:
            await far.drop()
    finally:
        await backend.close()


class _FarEnd:
    """The other end of one transfer. sent_size: how much a call may hold."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._id = secrets.token_hex(8)
        self._page_size = PageSize()
        self.sent_size = SentSize()

    async def ask(self, op: str, head: dict[str, Any], data: bytes | memoryview = b"") -> wire.Page:
        """Have one thing done. Raises FileProblem and the errors of the pool.

        Raises FrameCut: the answer is longer than it may be, though its head has a limit.
        """
        told = {"op": op, "id": self._id, **head}
        code = _call(wire.encode_frame(self._id, wire.Page(told, data)))
        failures = 0
        while True:
            result = await self._run(code)
            if _ABSENT in result.stdout:
                await self._run(_load_code())
            try:
                _, page = wire.decode_frame(result.stdout)
                break
            except (wire.FrameMissing, wire.FrameInvalid, wire.FrameCut) as error:
                if isinstance(error, wire.FrameCut) and "limit" in head:
                    raise
                failures += 1
                if failures >= MOST_ANSWERS_WITHOUT_FRAME:
                    raise RemoteProtocolError(
                        "The session environment does not answer as it should. Try another one.",
                        detail=reason_of(result),
                    ) from None
        if page.head.get("error"):
            raise FileProblem(str(page.head["error"]))
        return page

    async def _run(self, code: str) -> Any:
        return await self._environment.persist(
            lambda: self._environment.run_python(code, timeout_seconds=_CALL_SECONDS)
        )

    async def send(self, op: str, data: bytes | memoryview, offset: int) -> None:
        """Send bytes, in as many calls as it takes."""
        view, done = memoryview(data), 0
        while done < len(view):
            piece = view[done : done + self.sent_size.count]
            try:
                await self.ask(op, {"offset": offset + done}, piece)
            except LocalProtocolError:
                # Too large for the service, most likely: try smaller pieces.
                if not self.sent_size.refused():
                    raise
                continue
            done += len(piece)

    async def read(self, op: str, offset: int) -> wire.Page:
        """Read as many bytes as an answer may hold."""
        while True:
            limit = min(self.sent_size.count, self._page_size.certain_bytes)
            try:
                return await self.ask(op, {"offset": offset, "limit": limit})
            except wire.FrameCut as cut:
                if not self._page_size.was_cut(cut.received):
                    raise RemoteProtocolError(
                        "The session pool cuts answers to fewer characters than a transfer needs."
                    ) from cut

    async def drop(self) -> None:
        """Have removed what is not whole over there, as far as it can be reached."""
        with contextlib.suppress(Exception):  # the transfer's own error is what the user hears
            await asyncio.wait_for(self.ask("drop", {}), _DROP_SECONDS)


async def _send(far: _FarEnd, command: Command) -> str:
    path = command.path
    source, left_out = open_source(path, path)
    progress = TransferProgress(source.size, stream=_progress_stream())
    try:
        is_folder = isinstance(source, SourceFolder)
        head = {"destination": command.destination, "name": os.path.basename(path)}
        await far.ask("put", head | {"size": source.size, "is_folder": is_folder})
        if isinstance(source, SourceFolder):
            await far.send("list", pack(source.entries), 0)
        while source.sent < source.size:
            offset = source.sent
            await far.send("page", source.read(far.sent_size.count), offset)
            progress.show(source.sent)
        target = str((await far.ask("end", {"digest": source.digest})).head["target"])
    finally:
        source.close()
        progress.end()
    if isinstance(source, SourceFolder):
        count = sum(not one.is_folder for one in source.entries)
        return folder_summary(progress, path, target, count, left_out)
    return progress.summary(f"{path} → {target}")


async def _bring(far: _FarEnd, command: Command) -> str:
    found = (await far.ask("get", {"path": command.path})).head
    target, size = _target(command), _count(found, "size")
    without: list[int] = []
    file: PartialFile | PartialFolder
    if found.get("is_folder") is True:
        length = _count(found, "listing")
        if length > _LONGEST_LISTING:
            raise too_many()
        listing = b""
        while len(listing) < length:
            listing += _some((await far.read("names", len(listing))).data)
        file, without = take_folder(target, listing, may_replace=command.force)
    else:
        file = PartialFile(target, target, size, may_replace=command.force, has_name=False)
    progress = TransferProgress(file.size, stream=_progress_stream())
    try:
        if isinstance(file, PartialFolder):
            await far.ask("take", {"without": without})
        digest = hashlib.sha256().hexdigest()
        while file.received < file.size:
            page = await far.read("read", file.received)
            file.write(_some(page.data))
            digest = str(page.head["digest"])
            progress.show(file.received)
        file.commit(digest)
    finally:
        file.discard()
        progress.end()
    if isinstance(file, PartialFolder):
        return folder_summary(progress, command.path, target, file.files, len(without))
    return progress.summary(f"{command.path} → {target}")


def _target(command: Command) -> str:
    """Return where what is brought goes. Raises FileProblem."""
    target = os.path.abspath(target_path(command.destination, command.file_name))
    if not is_plain_path(target):
        raise FileProblem(f"{target} is no name for a file on this machine.")
    return target


def _count(head: dict[str, Any], name: str) -> int:
    value = head.get(name)
    if type(value) is not int or value < 0:
        raise FileProblem("The answer of the environment cannot be read.")
    return value


def _some(data: bytes | memoryview) -> bytes:
    """Return the bytes of an answer. Raises FileProblem: there are none."""
    if not data:
        raise FileProblem("The environment answers without what was asked for. Try again.")
    return bytes(data)


def _progress_stream() -> Any:
    return sys.stderr if sys.stderr.isatty() else io.StringIO()  # which nobody reads


@cache
def _sources() -> tuple[str, list[tuple[str, str]]]:
    """Return the name of what is sent, which is another one for other sources, and the sources."""
    top = resources.files(__name__.partition(".")[0])
    found = [(path, top.joinpath(path + ".py").read_text(encoding="utf-8")) for path in _SENT]
    digest = hashlib.sha256(json.dumps(found).encode("ascii")).hexdigest()
    return f"_aca_files_{digest[:12]}", found


def _load_code() -> str:
    packed = zlib.compress(json.dumps([_LOAD, *_sources()]).encode("ascii"))
    return (
        '(lambda p:(lambda g:(exec(p[0],g),g["load"](p[1],p[2]))and None)({}))(__import__("json")'
        '.loads(__import__("zlib").decompress(__import__("base64").b64decode("'
        + base64.b64encode(packed).decode("ascii")
        + '"))))'
    )


def _call(frame: str) -> str:
    name, _ = _sources()
    return (
        f'getattr(__import__("sys").modules.get("{name}.cli.files.far_end"),"answer",'
        f'lambda _:print("{_ABSENT}"))("{frame}")'
    )
