"""The protocol's stateless revision beside the one with a handshake, and its conformance suite."""

import base64
import contextlib
import json
import os
import shlex
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ..support import local_http

VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
RUN_PYTHON = "runPythonCodeInRemoteEnvironment"


def request(method, *, version=VERSION, request_id=1, **params):
    meta = {META + "protocolVersion": version, META + "clientCapabilities": {}}
    return {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": method,
        "params": {**params, "_meta": meta},
    }


def headers_of(message):
    params = message["params"]
    return {
        "MCP-Protocol-Version": params["_meta"][META + "protocolVersion"],
        "Mcp-Method": message["method"],
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }


def ask(pool, method, **params):
    message = request(method, **params)
    return pool.post(message, headers=headers_of(message))


def test_discovery_tells_revisions_capabilities_and_name(pool):
    answer = ask(pool, "server/discover", request_id="one")
    assert (answer.status_code, answer.json()["id"]) == (200, "one")
    assert "mcp-session-id" not in answer.headers
    assert answer.json()["result"] == {
        "resultType": "complete",
        "supportedVersions": [VERSION],
        "capabilities": {"tools": {}},
        "ttlMs": 3_600_000,
        "cacheScope": "private",
        "_meta": {
            META + "serverInfo": {"name": "Microsoft Container Apps MCP Server", "version": "1.0.0"}
        },
    }


def test_tools_are_listed_and_called_without_a_handshake(pool):
    listed = ask(pool, "tools/list").json()["result"]
    assert (listed["resultType"], listed["ttlMs"]) == ("complete", 3_600_000)
    assert RUN_PYTHON in {tool["name"] for tool in listed["tools"]}
    launched = ask(pool, "tools/call", name="launchShell", arguments={}).json()["result"]
    environment_id = launched["structuredContent"]["environmentId"]
    arguments = {"environmentId": environment_id, "pythonCode": "6 * 7"}
    called = ask(pool, "tools/call", name=RUN_PYTHON, arguments=arguments).json()["result"]
    assert called["structuredContent"]["executionResult"] == 42
    assert (called["resultType"], called["isError"]) == ("complete", False)
    # The other revision gets what it always got, of the same environment.
    assert pool.python(environment_id, "6 * 8")["executionResult"] == 48
    assert "resultType" not in pool.rpc("tools/list").json()["result"]
    pool.faults(expire=environment_id)


@pytest.mark.parametrize("method", ["resources/list", "ping", "initialize", "no/such"])
def test_what_the_revision_has_not_is_not_found(pool, method):
    answer = ask(pool, method)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


def test_an_unknown_revision_is_told_those_that_are_known(pool):
    answer = ask(pool, "tools/list", version="1900-01-01")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == -32022
    assert error["data"] == {"supported": [VERSION], "requested": "1900-01-01"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCP-Protocol-Version", None),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", None),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", None),
        ("Mcp-Name", "launchPythonEnvironment"),
        ("Mcp-Name", "=?base64?!?="),
    ],
)
def test_headers_have_to_say_what_the_body_says(pool, name, value):
    message = request("tools/call", name="launchShell", arguments={})
    headers = {**headers_of(message), name: value}
    answer = pool.post(message, headers={key: one for key, one in headers.items() if one})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


def test_a_name_may_be_encoded_and_header_names_have_any_case(pool):
    message = request("tools/call", name="launchShell", arguments={})
    headers = {name.upper(): value for name, value in headers_of(message).items()}
    headers["MCP-NAME"] = f"=?base64?{base64.b64encode(b'launchShell').decode()}?="
    assert pool.post(message, headers=headers).status_code == 200


@pytest.mark.parametrize("missing", ["protocolVersion", "clientCapabilities"])
def test_each_request_says_its_revision_and_what_its_client_can_do(pool, missing):
    message = request("tools/list")
    headers = headers_of(message)
    del message["params"]["_meta"][META + missing]
    answer = pool.post(message, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


def test_messages_come_singly_and_notifications_are_accepted(pool):
    message = request("tools/list")
    headers = headers_of(message)
    assert pool.post([message], headers=headers).status_code == 400
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert pool.post(answer, headers=headers).status_code == 400
    del message["id"]
    acknowledged = pool.post(message, headers=headers)
    assert (acknowledged.status_code, acknowledged.content) == (202, b"")


def test_arguments_that_do_not_fit_are_refused(pool):
    answer = ask(pool, "tools/call", name="noSuchTool", arguments={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


def test_a_pool_as_the_service_is_now_knows_no_discovery(start):
    pool = start(quirks=["handshake_only"])
    answer = ask(pool, "server/discover")
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32601)
    assert "resultType" not in ask(pool, "tools/list").json()["result"]


@contextlib.contextmanager
def without_key(pool):
    """Yield an endpoint that needs no key, which the conformance suite has no option for."""

    class Adding(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept = ("connection", "content-length", "transfer-encoding", "accept-encoding")
            given = {
                name: one.strip() for name, one in self.headers.items() if name.lower() not in kept
            }
            given["x-ms-apikey"] = pool.info["api_key"]
            answer = local_http(self.command, pool.endpoint, content=body, headers=given)
            self.send_response(answer.status_code)
            for name in ("content-type", "allow"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Adding)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SUITE = "ACA_TEST_MCP_CONFORMANCE"
# What the suite asks of a server with tools, and with nothing else. `caching` and the rest want
# prompts, resources, or tools that exist for the suite only.
SCENARIOS = [
    ("2026-07-28", "server-stateless"),
    ("2026-07-28", "tools-list"),
    ("2026-07-28", "http-header-validation"),
    ("2026-07-28", "dns-rebinding-protection"),
    ("2025-11-25", "server-initialize"),
    ("2025-11-25", "ping"),
    ("2025-11-25", "tools-list"),
    ("2025-11-25", "dns-rebinding-protection"),
]


@pytest.mark.skipif(SUITE not in os.environ, reason=f"{SUITE} names no command")
@pytest.mark.parametrize(("version", "scenario"), SCENARIOS)
def test_the_protocols_own_conformance_suite(pool, tmp_path, version, scenario):
    with without_key(pool) as url:
        options = ["--url", url, "--scenario", scenario, "--spec-version", version]
        subprocess.run(
            [*shlex.split(os.environ[SUITE]), "server", *options, "--output-dir", tmp_path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    [report] = tmp_path.rglob("checks.json")
    checks = json.loads(report.read_text())
    assert "SUCCESS" in {check["status"] for check in checks}
    failures = [check for check in checks if check["status"] in ("FAILURE", "WARNING")]
    # Some checks of the suite need tools of its own.
    assert [one for one in failures if "Not testable" not in one.get("errorMessage", "")] == []
