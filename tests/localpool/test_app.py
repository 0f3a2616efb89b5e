# ruff: noqa: E501  the tutorial's own lines
"""`aca-kernel pool serve` as a person uses it, and the tutorial's commands against it."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

SERVE = """
import argparse, sys
from aca_kernel.localpool.app import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args()))
"""

# From the tutorial's page, from "Initialize the MCP server" to the end of "Execute Python
# commands", as they stand there.
TUTORIAL = r"""
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{ "jsonrpc": "2.0", "id": "1", "method": "initialize" }'
echo
ENVIRONMENT_RESPONSE=$(curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{ "jsonrpc": "2.0", "id": "2", "method": "tools/call", "params": { "name": "launchPythonEnvironment", "arguments": {} } }')

echo $ENVIRONMENT_RESPONSE
ENVIRONMENT_ID=$(echo $ENVIRONMENT_RESPONSE | jq -r '.result.structuredContent.environmentId')
echo $ENVIRONMENT_ID
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{
        "jsonrpc": "2.0",
        "id": "3",
        "method": "tools/call",
        "params": {
            "name": "runPythonCodeInRemoteEnvironment",
            "arguments": {
                "environmentId": "'"$ENVIRONMENT_ID"'",
                "pythonCode": "import sys; print(f\"Python {sys.version}\")"
            }
        }
    }'
echo
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{
        "jsonrpc": "2.0",
        "id": "4",
        "method": "tools/call",
        "params": {
            "name": "runPythonCodeInRemoteEnvironment",
            "arguments": {
                "environmentId": "'"$ENVIRONMENT_ID"'",
                "pythonCode": "import math\nresults = {n: math.factorial(n) for n in range(1, 11)}\nfor k, v in results.items():\n    print(f\"{k}! = {v}\")"
            }
        }
    }'
"""
# For machines without jq.
JQ = f"""
jq() {{ {sys.executable} -c 'import json, sys; print(json.load(sys.stdin)["result"]["structuredContent"]["environmentId"])'; }}
"""


@pytest.fixture
def serve():
    processes = []

    def start_serving(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        lines = []
        while "Ctrl-C stops the pool." not in (line := process.stdout.readline()):
            assert line, "".join(lines)
            lines.append(line)
        return process, "".join(lines)

    yield start_serving
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def _bash(script):
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_tutorials_commands_work_unchanged(serve):
    import json

    _, shown = serve()
    settings = re.search(r"export (MCP_ENDPOINT=\S+ API_KEY=\S+)", shown)[1]
    done = _bash(f"export {settings}\n{JQ}\n{TUTORIAL}")
    assert done.returncode == 0, done.stderr
    initialized, launched, environment_id, version, factorials = done.stdout.splitlines()
    initialized = json.loads(initialized)["result"]
    assert initialized["protocolVersion"] == "2025-03-26"
    assert initialized["serverInfo"]["name"] == "Microsoft Container Apps MCP Server"
    assert initialized["capabilities"]["tools"] == {"call": True, "list": True}
    assert json.loads(launched)["result"]["structuredContent"]["environmentId"] == environment_id
    version = json.loads(version)
    assert version["id"] == "3"
    assert version["result"]["structuredContent"]["stdout"] == f"Python {sys.version}\n"
    lines = json.loads(factorials)["result"]["structuredContent"]["stdout"].splitlines()
    assert (lines[0], lines[9]) == ("1! = 1", "10! = 3628800")


@pytest.mark.parametrize("arguments", [[], ["--launch-tools", "shell"]])
def test_the_printed_commands_work_as_they_are(serve, arguments):
    _, shown = serve(*arguments)
    commands = shown[shown.index("    export MCP_ENDPOINT") :].split("Ctrl-C")[0]
    done = _bash(commands)
    assert "Microsoft Container Apps MCP Server" in done.stdout
    assert sys.version.split()[0] in done.stdout, done


def test_what_is_printed_says_how_to_connect(serve):
    _, shown = serve("--cooldown-seconds", "42", "--egress", "disabled", "--api-key", "my-own-key")
    assert re.search(
        r"export ACA_MCP_ENDPOINT=http://127.0.0.1:\d+/mcp ACA_MCP_API_KEY=my-own-key", shown
    )
    assert "42 s idle" in shown
    assert "network disabled" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_one_line(serve, number):
    process, _ = serve("--ready-sessions", "1")
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait(10) == 0
    assert rest.strip() == "Stopped; all sessions and their files are gone."


def _serve_and_end(*arguments, **env):
    return subprocess.run(
        [sys.executable, "-c", SERVE, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **env},
        check=False,
    )


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _serve_and_end("--port", str(port))
    assert done.returncode == 2
    assert f"port {port}: Address already in use. Choose another --port" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--max-concurrent-sessions", "0"], "max-concurrent-sessions"),
        (["--quirk", "unknown"], "Choose from"),
        (["--port", "70000"], "port"),
    ],
)
def test_values_that_cannot_work_are_one_sentence(arguments, named):
    done = _serve_and_end(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert named in done.stderr


def test_the_key_may_come_from_a_variable(serve, monkeypatch):
    monkeypatch.setenv("ACA_LOCAL_POOL_API_KEY", "from-the-variable")
    _, shown = serve()
    assert "API key from-the-variable" in shown
