"""What the tests share: real kernels from the kernelspec, real local pools over real HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

# Bounds for things that must happen; none of them is a measurement.
TIMEOUT = 60.0

# Variables of Jupyter's own tools: see tests/quick_tools/sitecustomize.py.
QUICK_TOOLS = {"PYTHONPATH": str(Path(__file__).with_name("quick_tools"))}

# What is felt at once comes within this, also on a machine that does other things: less than an
# exchange lasts whose end is waited for otherwise (20 s).
AT_ONCE = 12.0


def local_http(method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request on this machine.

    Without certificates: to read those of httpx's takes 25 ms of processor time, each time.
    """
    return httpx.request(method, url, verify=False, trust_env=False, **options)


@dataclass
class Pool:
    """A local session pool in a process of its own."""

    endpoint: str
    # Keys and secrets stay out of what pytest prints of a failed test.
    api_key: str = field(repr=False)
    process: subprocess.Popen[bytes]
    # The variables for clients of its control plane; empty if it has none.
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    isolation: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"x-ms-apikey": self.api_key}

    @property
    def env(self) -> dict[str, str]:
        return {"ACA_MCP_ENDPOINT": self.endpoint, "ACA_MCP_API_KEY": self.api_key}

    def _url(self, name: str) -> str:
        return self.endpoint.rsplit("/mcp", 1)[0] + "/" + name

    def stats(self) -> dict[str, Any]:
        return dict(local_http("GET", self._url("faults"), headers=self.headers).json())

    def calls(self) -> dict[str, int]:
        return dict(self.stats()["toolCalls"])

    def unanswered(self) -> int:
        """How many calls of tools wait for their answers now."""
        return int(self.stats()["unanswered"])

    def uses(self) -> dict[str, int]:
        """The calls that take a place: a launch makes an id, which kernels have ready."""
        return {name: n for name, n in self.calls().items() if not name.startswith("launch")}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool as another client does; return its result's content."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = local_http(
            "POST", self.endpoint, headers=self.headers, json=message, timeout=TIMEOUT
        )
        result = answer.json()["result"]
        assert result["isError"] is False, result
        return dict(result["structuredContent"])

    def take_a_place(self) -> None:
        """Use an environment as another client does; its cooldown begins."""
        environment_id = self.call("launchShell")["environmentId"]
        self.call("runPythonCodeInRemoteEnvironment", environmentId=environment_id, pythonCode="1")

    def fault(self, **fault: Any) -> None:
        url = self._url("faults")
        local_http("POST", url, headers=self.headers, json=fault).raise_for_status()

    def clear_faults(self) -> None:
        local_http("DELETE", self._url("faults"), headers=self.headers).raise_for_status()

    def expire(self) -> None:
        """Let every environment end now, as if it had cooled down."""
        self.fault(expire="*")

    def processes(self) -> set[int]:
        """The running processes of its environments; any of them may end at any moment."""
        found = set()
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.add(process.pid)
        return found

    def kill_environments(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_an_environment(self, chance: random.Random) -> int:
        """Kill one of those that there are; return how many there were to be killed."""
        try:
            sessions = psutil.Process(self.process.pid).children()
            session = chance.choice(sessions)
            doomed = [*session.children(recursive=True), session]
        except (psutil.NoSuchProcess, IndexError):
            return 0
        for one in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        return 1

    def wait_for_cooldown(self) -> None:
        """Wait until every environment of now has been released."""
        before = self.processes()
        assert eventually(lambda: not (before & self.processes()))


@contextmanager
def running_pool(module: str = "aca_kernel.localpool", **options: Any) -> Iterator[Pool]:
    """Start a pool as the embedded one is started, with faults switched on."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        options = {
            "port": 0,
            "ready_sessions": 0,
            "faults": True,
            "max_concurrent_sessions": 5,
            **options,
        }
        process.stdin.write(json.dumps(options).encode() + b"\n")
        process.stdin.flush()
        greeting = json.loads(process.stdout.readline())
        yield Pool(
            greeting["endpoint"],
            greeting["api_key"],
            process,
            greeting.get("environment", {}),
            greeting["isolation"],
        )
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@dataclass
class ControlPlane:
    """A local pool with its control plane, spoken to as Resource Manager is.

    env: what a kernel or the command line needs to find it, with no endpoint and no key.
    """

    pool: Pool

    API_VERSION: ClassVar[str] = "2025-02-02-preview"

    @property
    def env(self) -> dict[str, str]:
        return dict(self.pool.environment)

    @property
    def url(self) -> str:
        return self.env["ACA_ARM_ENDPOINT"]

    @property
    def group_path(self) -> str:
        return (
            f"/subscriptions/{self.env['ACA_SUBSCRIPTION_ID']}/resourceGroups/"
            + (self.env["ACA_RESOURCE_GROUP"])
        )

    def pool_path(self, name: str | None = None) -> str:
        """Return the path of a pool in the default group, by default the default pool."""
        name = name or self.env["ACA_SESSION_POOL"]
        return f"{self.group_path}/providers/Microsoft.App/sessionPools/{name}"

    def token(self, resource: str = "https://management.azure.com") -> str:
        """Fetch a bearer token, as a managed identity does."""
        answer = local_http(
            "GET",
            self.env["IDENTITY_ENDPOINT"],
            params={"resource": resource, "api-version": "2019-08-01"},
            headers={"X-IDENTITY-HEADER": self.env["IDENTITY_HEADER"]},
        )
        return str(answer.raise_for_status().json()["access_token"])

    def request(
        self, method: str, path: str, body: Any = None, *, api_version: str = API_VERSION
    ) -> httpx.Response:
        """Send one request to a path, or to a link of an earlier answer."""
        is_link = path.startswith("http")
        return local_http(
            method,
            path if is_link else self.url + path,
            params=None if is_link else {"api-version": api_version},
            headers={"Authorization": f"Bearer {self.token()}"},
            json=body,
            timeout=TIMEOUT,
        )

    def wait_for(self, answer: httpx.Response) -> httpx.Response:
        """Follow an asynchronous operation to its end; return its last status."""
        link = answer.headers.get("Azure-AsyncOperation") or answer.headers["Location"]
        deadline = time.monotonic() + TIMEOUT
        while True:
            status = self.request("GET", link)
            is_running = status.status_code == 202 or (
                status.content and status.json().get("status") in ("InProgress", "Running")
            )
            if not is_running:
                return status
            assert time.monotonic() < deadline, "the operation does not end"
            time.sleep(0.02)


@contextmanager
def running_control_plane(**options: Any) -> Iterator[ControlPlane]:
    """Start a pool with its control plane; operations take no time unless told to."""
    options = {"control_plane": True, "operation_seconds": 0.05, **options}
    with running_pool(**options) as pool:
        yield ControlPlane(pool)


@dataclass
class Cell:
    """What one execute request brought."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.reply["content"]["status"])

    def stream(self, name: str = "stdout") -> str:
        return "".join(
            m["content"]["text"]
            for m in self.messages
            if m["msg_type"] == "stream" and m["content"]["name"] == name
        )

    @property
    def text(self) -> str:
        return self.stream("stdout")

    @property
    def said(self) -> str:
        """What came on stderr, on one line: the kernel's own sentences are broken into lines."""
        return " ".join(self.stream("stderr").split())

    @property
    def result(self) -> Any:
        for message in self.messages:
            if message["msg_type"] == "execute_result":
                return message["content"]["data"]["text/plain"]
        return None

    @property
    def error(self) -> dict[str, Any] | None:
        for message in self.messages:
            if message["msg_type"] == "error":
                return dict(message["content"])
        return None

    @property
    def told(self) -> str:
        """What it printed, on one line, as `said` has it of stderr."""
        return " ".join(self.text.split())

    @property
    def evalue(self) -> str:
        """The message of its error on one line, empty if it has none."""
        return " ".join(self.error["evalue"].split()) if self.error else ""

    def of_type(self, msg_type: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["msg_type"] == msg_type]


class Client:
    """A kernel and one front end of it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    @property
    def pid(self) -> int:
        """Of the local kernel's process."""
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def restart(self, *, now: bool = False) -> None:
        """Restart the kernel; now: kill it, where it is otherwise asked to shut down."""
        self.manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=TIMEOUT)

    def send(self, code: str, **options: Any) -> str:
        return str(self.client.execute(code, **options))

    def run(self, code: str, timeout: float = TIMEOUT, **options: Any) -> Cell:
        return self.collect(self.send(code, **options), timeout)

    def collect(self, msg_id: str, timeout: float = TIMEOUT) -> Cell:
        """Wait for the reply and the idle of a request, keeping what comes on iopub."""
        cell = Cell({})
        deadline = time.monotonic() + timeout
        for message in self.messages_until_idle(msg_id, deadline):
            cell.messages.append(message)
            cell.arrivals.append(time.time())
        cell.reply = self.reply_to(msg_id, deadline)
        return cell

    def messages_until_idle(self, msg_id: str, deadline: float) -> Iterator[dict[str, Any]]:
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            yield message
            if message["content"].get("execution_state") == "idle":
                return

    def reply_to(self, msg_id: str, deadline: float) -> dict[str, Any]:
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.0, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == msg_id:
                return dict(reply)

    def wait_for_stream(self, msg_id: str, text: str, timeout: float = TIMEOUT) -> None:
        """Wait until a running cell has printed a text."""
        seen = ""
        deadline = time.monotonic() + timeout
        while text not in seen:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") == msg_id:
                seen += message["content"].get("text", "")

    def ask(self, msg_type: str, content: dict[str, Any], channel: str = "shell") -> dict[str, Any]:
        """Send any request and return its reply."""
        message = self.client.session.msg(msg_type, content)
        getattr(self.client, f"{channel}_channel").send(message)
        get = self.client.get_shell_msg if channel == "shell" else self.client.get_control_msg
        deadline = time.monotonic() + TIMEOUT
        while True:
            reply = get(timeout=max(0.0, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply)

    def run_in_subshell(self, code: str, expression: str = "None") -> str:
        """Run code beside what runs, and return the text of an expression after it.

        By a front end of its own, so that this one misses nothing of what it waits for.
        """
        client = BlockingKernelClient()
        client.load_connection_info(self.manager.get_connection_info())
        client.start_channels()
        try:
            other = Client(self.manager, client)
            made = other.ask("create_subshell_request", {}, channel="control")["content"]
            content = {"code": code, "silent": False, "user_expressions": {"it": expression}}
            message = client.session.msg("execute_request", content)
            message["header"]["subshell_id"] = made["subshell_id"]
            client.shell_channel.send(message)
            reply = other.reply_to(message["header"]["msg_id"], time.monotonic() + TIMEOUT)
            made.pop("status")
            other.ask("delete_subshell_request", made, channel="control")
        finally:
            client.stop_channels()
        return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])

    def interrupt(self) -> None:
        message = self.client.session.msg("interrupt_request", {})
        self.client.control_channel.send(message)

    def drain(self) -> list[dict[str, Any]]:
        messages = []
        while True:
            try:
                messages.append(self.client.get_iopub_msg(timeout=0.3))
            except queue.Empty:
                return messages


@contextmanager
def running_kernel(
    env: dict[str, str] | None = None, *, arguments: tuple[str, ...] = (), name: str = "aca"
) -> Iterator[Client]:
    """Start a kernel by its kernelspec, as a front end does."""
    manager, client = start_new_kernel(
        kernel_name=name,
        extra_arguments=list(arguments),
        env={**os.environ, **(env or {})},
    )
    try:
        yield Client(manager, client)
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel()


@contextmanager
def logging_kernel(folder: Path, **popen: Any) -> Iterator[Client]:
    """Start a kernel that logs all it can, into the file `log` of a folder, and shut it down."""
    connection_file = folder / "connection.json"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aca_kernel", "-f", str(connection_file), "--debug"],
            stdout=log, stderr=log, **popen,
        )  # fmt: skip
    try:
        assert eventually(lambda: connection_file.exists() and bool(connection_file.read_text()))
        client = BlockingKernelClient(connection_file=str(connection_file))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        yield Client(None, client)  # type: ignore[arg-type]  # no manager has started it
        client.shutdown()
        client.stop_channels()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *about: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # who only looks at the certificate leaves
            super().handle_error(*about)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], certificate: str | None = None) -> Iterator[str]:
    """Serve HTTP, by TLS with a certificate, on this machine; yield the address."""
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http{'' if certificate is None else 's'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(condition: Callable[[], bool], timeout: float = 20.0) -> bool:
    """Wait for a condition under a bound."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
