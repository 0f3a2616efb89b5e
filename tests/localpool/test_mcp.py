"""JSON-RPC, the MCP methods and HTTP, against the specification and the tutorial."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import pytest

from ..support import local_http

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"
RUN_SHELL = "runShellCommandInRemoteEnvironment"


def test_initialize_answers_as_the_tutorial_shows(pool):
    answer = pool.post({"jsonrpc": "2.0", "id": "1", "method": "initialize"})
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["id"] == "1"
    assert body["result"]["protocolVersion"] == "2025-03-26"
    assert body["result"]["serverInfo"]["name"] == "Microsoft Container Apps MCP Server"
    assert body["result"]["capabilities"] == {"tools": {"call": True, "list": True}}


def test_initialize_offers_its_own_version_to_newer_clients(pool):
    answer = pool.rpc("initialize", {"protocolVersion": "2030-01-01", "capabilities": {}})
    assert answer.json()["result"]["protocolVersion"] == "2025-03-26"


def test_the_service_ends_no_environment_on_request(pool, environment):
    arguments = {"environmentId": environment}
    answer = pool.rpc("aca-kernel/endEnvironment", arguments).json()
    assert answer["error"]["code"] == -32601
    assert pool.shell(environment, "echo there")["stdout"] == "there\n"


def test_the_pool_of_a_batch_ends_an_environment_on_request(start):
    pool = start(ends_environments=True, max_concurrent_sessions=1)
    offered = pool.rpc("initialize").json()["result"]["capabilities"]
    assert offered["experimental"] == {"aca-kernel/endEnvironment": {}}
    left = pool.launch()
    pool.shell(left, "true")
    for _ in range(2):  # and once more without harm
        answer = pool.rpc("aca-kernel/endEnvironment", {"environmentId": left}).json()
        assert answer["result"] == {}
    assert pool.shell(pool.launch(), "echo next")["stdout"] == "next\n"


def test_ping_and_number_ids(pool):
    assert pool.rpc("ping", request_id=7).json() == {"jsonrpc": "2.0", "id": 7, "result": {}}


def test_the_tools_are_listed_with_schemas(pool):
    tools = {tool["name"]: tool for tool in pool.rpc("tools/list").json()["result"]["tools"]}
    assert set(tools) == {"launchPythonEnvironment", "launchShell", RUN_PYTHON, RUN_SHELL}
    assert tools[RUN_PYTHON]["inputSchema"]["required"] == ["environmentId", "pythonCode"]
    assert set(tools[RUN_SHELL]["inputSchema"]["properties"]) == {
        "environmentId",
        "shellCommand",
        "execCommandAndArgs",
    }


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled", "any"])
def test_notifications_are_accepted_without_an_answer(pool, method):
    answer = pool.post({"jsonrpc": "2.0", "method": method})
    assert (answer.status_code, answer.content) == (202, b"")


def test_batches_are_answered_in_one(pool):
    answer = pool.post(
        [
            {"jsonrpc": "2.0", "id": 1, "method": "ping"},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": "two", "method": "nothing"},
        ]
    ).json()
    assert [item["id"] for item in answer] == [1, "two"]
    assert answer[1]["error"]["code"] == -32601
    assert pool.post([]).status_code == 400
    assert pool.post([{"jsonrpc": "2.0", "method": "x"}]).status_code == 202


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
def test_other_verbs_are_not_allowed(pool, verb):
    answer = pool.http.request(verb, pool.endpoint)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_an_unknown_method_has_its_code_also_before_initialize(pool):
    error = pool.rpc("resources/list").json()["error"]
    assert error["code"] == -32601
    assert "resources/list" in error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_parse_error(pool, body):
    answer = pool.http.post(pool.endpoint, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize(
    "message",
    [
        7,
        {},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": {}, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]},
    ],
)
def test_a_malformed_envelope_is_an_invalid_request(pool, message):
    answer = pool.post(message)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "'name'"),
        ({"name": "noSuchTool"}, "'noSuchTool'"),
        ({"name": RUN_PYTHON, "arguments": 5}, "'arguments'"),
        ({"name": RUN_PYTHON, "arguments": {}}, "'environmentId'"),
        ({"name": RUN_PYTHON, "arguments": {"environmentId": "abcd"}}, "'pythonCode'"),
        ({"name": RUN_PYTHON, "arguments": {"environmentId": 5}}, "'environmentId'"),
        ({"name": RUN_PYTHON, "arguments": {"environmentId": "abc"}}, "'environmentId'"),
        ({"name": RUN_PYTHON, "arguments": {"environmentId": "a" * 129}}, "'environmentId'"),
        (
            {"name": RUN_PYTHON, "arguments": {"environmentId": "abcd", "pythonCode": None}},
            "'pythonCode'",
        ),
        ({"name": "launchShell", "arguments": {"extra": 1}}, "'extra'"),
        ({"name": RUN_SHELL, "arguments": {"environmentId": "abcd"}}, "'shellCommand'"),
        (
            {
                "name": RUN_SHELL,
                "arguments": {
                    "environmentId": "abcd",
                    "shellCommand": "x",
                    "execCommandAndArgs": ["x"],
                },
            },
            "'execCommandAndArgs'",
        ),
        (
            {"name": RUN_SHELL, "arguments": {"environmentId": "abcd", "execCommandAndArgs": []}},
            "'execCommandAndArgs'",
        ),
        (
            {"name": RUN_SHELL, "arguments": {"environmentId": "abcd", "execCommandAndArgs": [1]}},
            "'execCommandAndArgs'",
        ),
        (
            {"name": RUN_SHELL, "arguments": {"environmentId": "abcd", "shellCommand": "a\0"}},
            "'shellCommand'",
        ),
    ],
)
def test_invalid_arguments_are_named(pool, params, named):
    answer = pool.rpc("tools/call", params)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (200, -32602)
    assert named in error["message"]


@pytest.mark.parametrize(
    "headers", [{}, {"x-ms-apikey": "wrong"}, {"Authorization": "Bearer abc"}, {"x-ms-apikey": ""}]
)
def test_without_the_key_nothing_is_let_in(pool, headers):
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = local_http("POST", pool.endpoint, json=message, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "Unauthorized"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8888"}, 200),
        ({"Origin": "http://[::1]:3000"}, 200),
    ],
)
def test_web_pages_of_others_cannot_rebind_to_the_pool(pool, headers, status):
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert pool.post(message, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("path", "status"), [("/subscriptions/x/pools/y/mcp", 200), ("/mcp/", 200), ("/other", 404)]
)
def test_any_path_that_ends_in_mcp_is_the_endpoint(pool, path, status):
    url = pool.endpoint.removesuffix("/mcp") + path
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert pool.http.post(url, json=message).status_code == status


def test_the_size_of_a_request_is_bounded(start):
    pool = start(max_request_bytes=10_000)
    assert pool.http.post(pool.endpoint, content=b" " * 20_000).status_code == 413
    chunks = (b" " * 1000 for _ in range(30))
    assert pool.http.post(pool.endpoint, content=chunks).status_code == 413
    refused = pool.http.post(
        pool.endpoint, content=b" " * 20_000, headers={"Expect": "100-continue"}
    )
    assert refused.status_code == 413
    assert pool.rpc("ping").status_code == 200


def test_connections_are_kept_alive(pool):
    address = urlsplit(pool.endpoint)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
        f"x-ms-apikey: {pool.info['api_key']}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        for _ in range(3):
            connection.sendall(head.encode() + body)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(1000)
            assert b"200 OK" in answer


def test_an_unknown_environment_is_an_error_result(pool):
    result = pool.call(RUN_PYTHON, environmentId="no-such-id", pythonCode="1")
    assert result["isError"] is True
    assert "Environment 'no-such-id' does not exist or has expired" in result["content"][0]["text"]


def test_the_text_is_the_structured_content(pool, environment):
    result = pool.call(RUN_PYTHON, environmentId=environment, pythonCode="print(5)")
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert result["structuredContent"]["environmentId"] == environment
    assert result["structuredContent"]["status"] == "Success"
    assert result["structuredContent"]["stdout"] == "5\n"
    assert result["isError"] is False


@pytest.mark.parametrize(
    ("mode", "quirks", "version"),
    [
        ("auto", [], "2026-07-28"),
        ("2026-07-28", [], "2026-07-28"),
        ("legacy", [], "2025-03-26"),
        ("auto", ["handshake_only"], "2025-03-26"),
    ],
)
def test_the_official_client_connects_lists_and_calls(start, mode, quirks, version):
    pool = start(quirks=quirks)
    mcp = pytest.importorskip("mcp")
    streamable_http = pytest.importorskip("mcp.client.streamable_http")
    http = pytest.importorskip("httpx2")
    if not hasattr(mcp, "Client"):
        pytest.skip("an older mcp has another client")

    async def use():
        async with http.AsyncClient(headers={"x-ms-apikey": pool.info["api_key"]}) as client:
            transport = streamable_http.streamable_http_client(pool.endpoint, http_client=client)
            async with mcp.Client(transport, mode=mode) as session:
                assert session.protocol_version == version
                names = {tool.name for tool in (await session.list_tools()).tools}
                assert RUN_PYTHON in names
                launched = await session.call_tool("launchPythonEnvironment", {})
                environment_id = launched.structured_content["environmentId"]
                result = await session.call_tool(
                    RUN_PYTHON, {"environmentId": environment_id, "pythonCode": "6 * 7"}
                )
                assert result.structured_content["executionResult"] == 42
                return environment_id

    pool.faults(expire=asyncio.run(use()))
