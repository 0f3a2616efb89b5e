"""Neither the API key nor what cells hold is ever written where others could read it."""

from __future__ import annotations

from aca_kernel.cli import main

from .support import Pool, logging_kernel, running_kernel

CELL = "marked_cell_text = 'not for the log'"


def test_the_log_holds_neither_key_nor_cell_text(pool: Pool, tmp_path, monkeypatch) -> None:
    for name, value in pool.env.items():
        monkeypatch.setenv(name, value)
    with logging_kernel(tmp_path) as kernel:
        kernel.run(CELL + "\nprint('marked_output')\n1/0")
        pool.fault(kind="unauthorized", count=1)
        kernel.run("marked_after")
    text = (tmp_path / "log").read_text()
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
