"""A client of @jupyterlab/services, the library of JupyterLab and VS Code, in Node.js."""

from __future__ import annotations

import itertools
import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..support import TIMEOUT
from .server import JupyterServer

SOURCES = Path(__file__).parent / "javascript"

Event = dict[str, Any]


def install(folder: Path, node: str, npm: str) -> Path:
    """Install the client and what it needs in a folder; return the client's path."""
    for path in SOURCES.iterdir():
        shutil.copy(path, folder)
    subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
        cwd=folder,
        check=True,
        timeout=150,
        stdin=subprocess.DEVNULL,
    )
    client = folder / "client.cjs"
    subprocess.run([node, "--check", client], check=True, timeout=30)
    return client


class ServicesClient:
    """The client: commands go in, events come out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._arriving: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.events: list[Event] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line) if line.startswith("{") else {"event": "noise", "text": line}
            self._arriving.put({**event, "time": time.monotonic()})
        self._arriving.put({"event": "end"})

    def wait_for(self, condition: Callable[[Event], bool], timeout: float = TIMEOUT) -> Event:
        """Wait for an event, also one that has been."""
        deadline = time.monotonic() + timeout
        known = iter(list(self.events))
        while True:
            event = next(known, None)
            if event is None:
                try:
                    event = self._arriving.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    raise AssertionError(f"never came; last: {self.events[-6:]}") from None
                self.events.append(event)
            if condition(event):
                return event
            assert event["event"] not in {"noise", "end"}, event

    def call(self, op: str, **fields: Any) -> Any:
        """Have a command done and return its result."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": op, "number": number, **fields}) + "\n")
        self._process.stdin.flush()
        answer = self.wait_for(lambda one: one["event"] == "answer" and one["number"] == number)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def run(self, name: str, code: str, **options: Any) -> list[Event]:
        """Execute code to its end; return what the library handed on, in order."""
        self.call("execute", id=name, code=code, options=options)
        self.wait_for_done(name)
        return self.of(name)

    def wait_for_done(self, name: str) -> None:
        """Wait until the library says that a request has had its reply and its idle."""
        ends = {"done", "failed"}
        end = self.wait_for(lambda one: one["event"] in ends and one.get("id") == name)
        assert end["event"] == "done", end

    def of(self, name: str) -> list[Event]:
        return [one for one in self.events if one.get("id") == name]

    def select(self, event: str) -> list[Event]:
        return [one for one in self.events if one["event"] == event]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._reader.join(20)
        self._process.stdout.close()


@contextmanager
def services_client(node: str, client: Path, server: JupyterServer) -> Iterator[ServicesClient]:
    """Start the client for a server."""
    process = subprocess.Popen(
        [node, client, server.url, server.token],
        cwd=client.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    one = ServicesClient(process)
    try:
        yield one
    finally:
        one.close()


def text_of(events: list[Event], stream: str = "stdout") -> str:
    """What a cell printed."""
    return "".join(
        one["content"]["text"]
        for one in events
        if one["event"] == "output" and one["type"] == "stream" and one["content"]["name"] == stream
    )
