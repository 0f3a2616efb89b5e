"""Neither the API key nor what cells hold is ever written where others could read it."""

from __future__ import annotations

import subprocess
import sys

from jupyter_client.blocking.client import BlockingKernelClient

from aca_kernel.cli import main

from .support import Client, Pool, eventually, running_kernel

CELL = "marked_cell_text = 'not for the log'"


def test_the_log_holds_neither_key_nor_cell_text(pool: Pool, tmp_path, monkeypatch) -> None:
    for name, value in pool.env.items():
        monkeypatch.setenv(name, value)
    connection_file = tmp_path / "kernel.json"
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "aca_kernel", "-f", str(connection_file), "--debug"],
            stdout=file,
            stderr=file,
        )
    try:
        assert eventually(lambda: connection_file.exists() and bool(connection_file.read_text()))
        client = BlockingKernelClient(connection_file=str(connection_file))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        kernel = Client(None, client)  # type: ignore[arg-type]
        kernel.run(CELL + "\nprint('marked_output')\n1/0")
        pool.fault(kind="unauthorized", count=1)
        kernel.run("marked_after")
        client.shutdown()
        client.stop_channels()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    text = log.read_text()
    assert "execute_request" in text
    assert pool.api_key not in text
    assert "marked_" not in text
    assert "not for the log" not in text


def test_the_doctor_shows_no_key_whatever_happens(pool: Pool, monkeypatch, capfd) -> None:
    """Also where the pool repeats it, and in the words of its errors."""
    for name, value in pool.env.items():
        monkeypatch.setenv(name, value)
    python = "runPythonCodeInRemoteEnvironment"
    said = ""
    for kind in ("unauthorized", "garbage", "cut", "drop_after"):
        pool.fault(kind=kind, count=3, tool=python)
        for words in (["doctor"], ["doctor", "--json"]):
            main(words)
            said += "".join(capfd.readouterr())
    assert "api_key = set" in said
    assert "refused the API key" in said
    assert pool.api_key not in said
    assert "Traceback" not in said


def test_the_environment_gets_neither_key_nor_the_users_variables(monkeypatch) -> None:
    monkeypatch.setenv("MY_CLOUD_SECRET", "hush-hush")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush-hush")
    with running_kernel() as kernel:
        cell = kernel.run("import os; print(sorted(os.environ.items()))")
        assert "hush-hush" not in cell.text
        assert "MCP" not in cell.text
