"""`aca-kernel pool serve` as a person uses it; `tests/test_tutorial.py` has the tutorial."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

SERVE = """
import argparse, sys
from aca_kernel.localpool.serve import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args()))
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


@pytest.mark.parametrize(
    ("arguments", "launch"),
    [([], "launchShell"), (["--launch-tools", "python"], "launchPythonEnvironment")],
)
def test_the_printed_commands_work_as_they_are(serve, arguments, launch):
    _, shown = serve(*arguments)
    commands = shown[shown.index("    export MCP_ENDPOINT") :].split("Ctrl-C")[0]
    assert f'"{launch}"' in commands
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


def test_the_control_plane_is_found_by_what_is_printed(serve):
    _, shown = serve("--resource-group", "my-group", "--name", "my-pool", "--api-key", "my-own-key")
    exports = "\n".join(re.findall(r"^ +export (?:ACA_(?!MCP)|IDENTITY_).*", shown, re.MULTILINE))
    done = _bash(
        exports
        + """
TOKEN=$(curl -sS -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" \
    "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://management.azure.com" |
    sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')
curl -sS -X POST -H "Authorization: Bearer $TOKEN" "$ACA_ARM_ENDPOINT/subscriptions/\
$ACA_SUBSCRIPTION_ID/resourceGroups/$ACA_RESOURCE_GROUP/providers/Microsoft.App/sessionPools/\
$ACA_SESSION_POOL/fetchMCPServerCredentials?api-version=2025-02-02-preview"
"""
    )
    assert done.stdout == '{"apiKey": "my-own-key"}', done
    assert "my-group" in exports


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
        (["--subscription", "mine"], "subscription must be a GUID"),
        (["--resource-group", "ends."], "resource-group"),
        (["--name", "Capital"], "lowercase"),
        (["--location", "moon"], "location"),
        (["--operation-seconds", "-1"], "operation-seconds"),
        (["--token-lifetime-seconds", "0"], "token-lifetime-seconds"),
        (["--min-cooldown-seconds", "301"], "min-cooldown-seconds"),
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
