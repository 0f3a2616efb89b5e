"""`python -m tests.batch.stand_in_pool`: a pool that runs nothing and answers at once.

It is started as the local pool is, and is that but for its sessions: in their place stands what an
agent with a remote kernel would answer. Each cell prints its number; one whose text is `hold` and
a number does so after so many seconds. So what is measured of a batch with hundreds of notebooks
is the batch.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import time
import zlib
from typing import Any

import ipykernel

from aca_kernel.localpool import __main__ as local_pool
from aca_kernel.localpool import hosted
from aca_kernel.localpool.session import PythonOutcome, ShellOutcome
from aca_kernel.localpool.session_pool import PoolCounters
from aca_kernel.remote import wire

_HOLD = re.compile(r"hold (\d+)")
_BOOT = re.compile(r'b64decode\("([A-Za-z0-9+/=]+)"\)')
_FRAME = re.compile(r'"(~aca1:(?!none~)[^"]+~)"')

_INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "ipython",
    "implementation_version": ipykernel.__version__,
    "language_info": {"name": "python", "version": sys.version.split()[0], "file_extension": ".py"},
    "banner": "",
    "help_links": [],
}


class Agent:
    """One generation: what remote/agent.py answers, with no remote kernel behind it."""

    def __init__(self, nonce: str, config: dict[str, Any]) -> None:
        self.nonce = nonce
        self._session, self._username = config["session"], config["username"]
        self._outgoing, self._incoming = wire.SendLog(), wire.ReceiveLog()
        self._count = 0
        self._messages = 0
        # A cell that holds, with the time when it has ended.
        self._held: list[tuple[float, dict[str, Any]]] = []
        # A session interpreter does one call after the other.
        self._turn = asyncio.Lock()
        self._log({"kind": "ready", "pid": 1, "info": _INFO})

    def greeting(self) -> bytes:
        head = {"missing": [], "python": "3.11.0", "executable": sys.executable,
                "directory": "/tmp", "wake": ["/dev/null"], "pid": 1}  # fmt: skip
        return wire.encode_frame(self.nonce, wire.Page(head)).encode() + b"\n"

    async def exchange(self, frame: str) -> bytes:
        async with self._turn:
            return await self._exchange(frame)

    async def _exchange(self, frame: str) -> bytes:
        _, page = wire.decode_frame(frame)
        head = page.head
        self._outgoing.acknowledge(head["got"])
        # A call that was repeated, and is late, is answered from where there is something.
        start = max(head["got"], self._outgoing.start)
        for record in self._incoming.feed(head["off"], page.data):
            if record.kind == "msg" and record.head["channel"] != "stdin":
                self._take(record)
        if self._held and self._outgoing.end <= head["got"]:
            left = self._held[0][0] - time.monotonic()
            await asyncio.sleep(max(0.0, min(left, head["wait"])))
            if time.monotonic() >= self._held[0][0]:
                self._end(self._held.pop(0)[1])
        answer = {"n": head["n"], "got": self._incoming.received, "off": start,
                  "end": self._outgoing.end, "background": False, "woken": False,
                  "open": len(self._held), "pid": 1, "held": 0.0}  # fmt: skip
        filled = wire.fill_page(self._outgoing, answer, start, head["limit"])
        pieces = wire.frame_pieces(self.nonce, filled, may_be_text=True)
        return b"".join(bytes(one) for one in pieces)

    def _take(self, record: wire.Record) -> None:
        parent, content = json.loads(record.parts[0]), json.loads(record.parts[3])
        self._say("iopub", "status", parent, {"execution_state": "busy"})
        if parent["msg_type"] != "execute_request":
            reply = _INFO if parent["msg_type"] == "kernel_info_request" else {"status": "ok"}
            reply_type = parent["msg_type"].replace("_request", "_reply")
            self._say(record.head["channel"], reply_type, parent, reply)
            self._say("iopub", "status", parent, {"execution_state": "idle"})
            return
        self._count += 1
        code = content["code"]
        self._say("iopub", "execute_input", parent, {"code": code, "execution_count": self._count})
        hold = _HOLD.match(code)
        if hold is not None:
            self._held.append((time.monotonic() + int(hold[1]), parent))
        else:
            self._end(parent)

    def _end(self, parent: dict[str, Any]) -> None:
        self._say("iopub", "stream", parent, {"name": "stdout", "text": f"{self._count}\n"})
        reply = {"status": "ok", "execution_count": self._count, "user_expressions": {},
                 "payload": []}  # fmt: skip
        self._say("shell", "execute_reply", parent, reply)
        self._say("iopub", "status", parent, {"execution_state": "idle"})

    def _say(self, channel: str, kind: str, parent: dict[str, Any], content: Any) -> None:
        self._messages += 1
        header = {"msg_id": f"{self.nonce}-{self._messages}", "msg_type": kind, "version": "5.3",
                  "username": self._username, "session": self._session,
                  "date": "2026-01-01T00:00:00.000000Z"}  # fmt: skip
        head = {"kind": "msg", "channel": channel, "type": kind, "parent": parent["msg_id"]}
        if kind == "status":
            head["state"] = content["execution_state"]
        parts = tuple(json.dumps(one).encode() for one in (header, parent, {}, content))
        self._outgoing.append(wire.Record(head, parts))

    def _log(self, head: dict[str, Any]) -> None:
        self._outgoing.append(wire.Record(head))


class StandInPool:
    """In the place of localpool/session_pool.py's pool."""

    def __init__(self, options: Any, *_: Any) -> None:
        self.options = options
        self._agents: dict[str, Agent] = {}
        self._launched = 0

    def launch(self) -> str:
        self._launched += 1
        return f"stand-in-{self._launched}"

    async def run_python(self, environment_id: str, source: str) -> PythonOutcome:
        out = b""
        boot = _BOOT.search(source)
        if boot is not None:
            payload = json.loads(zlib.decompress(base64.b64decode(boot[1])))
            agent = self._agents.get(environment_id)
            if agent is None or agent.nonce != payload["nonce"]:
                agent = self._agents[environment_id] = Agent(payload["nonce"], payload["config"])
            out += agent.greeting()
        frame = _FRAME.search(source)
        if frame is not None:
            out += await self._agents[environment_id].exchange(frame[1])
        return PythonOutcome(stdout=out)

    async def run_shell(self, environment_id: str, argv: list[str]) -> ShellOutcome:
        assert environment_id
        assert argv
        return ShellOutcome()

    async def expire(self, environment_id: str) -> bool:
        return self._agents.pop(environment_id, None) is not None

    async def expire_all(self) -> None:
        self._agents.clear()

    def counters(self) -> PoolCounters:
        return PoolCounters(launched=self._launched, live=len(self._agents))

    async def close(self) -> None:
        self._agents.clear()


if __name__ == "__main__":
    replaced: Any = hosted
    replaced.Pool = StandInPool
    sys.exit(local_pool.main())
