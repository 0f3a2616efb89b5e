"""`aca-kernel` on Windows Python under Wine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest

from ..support import ControlPlane, Pool, running_pool
from .conftest import Windows

COMMANDS = Path(__file__).with_name("commands.py")


def run(
    windows: Windows, *lines: list[str], env: Mapping[str, str], folder: Path
) -> list[tuple[int, str, str]]:
    """Run commands one after the other; return the status and the two streams of each."""
    directories = {
        "JUPYTER_DATA_DIR": windows.path(folder / "data"),
        "JUPYTER_RUNTIME_DIR": windows.path(folder / "runtime"),
    }
    # The last line, should a library have warned.
    status, said = windows.run(
        windows.path(COMMANDS),
        env={**directories, **env},
        stdin=json.dumps(lines).encode(),
        cwd=folder,
    )
    assert status == 0, said.decode(errors="replace")
    return [(one[0], one[1], one[2]) for one in json.loads(said.splitlines()[-1])]


def test_commands_without_a_pool(windows: Windows, tmp_path: Path) -> None:
    installed, listed, helped, page, template, config, own, served = run(
        windows,
        ["install", "--user", "--resource-group", "notebooks", "--pool", "my-pool"],
        ["checkpoints", "list"],
        ["help"],
        ["help", "files"],
        ["pool", "template"],
        ["mcp-config", "--endpoint", "https://pool.example/mcp", "--write"],
        ["mcp-config", "--endpoint", "https://pool.example/mcp", "--user"],
        ["pool", "serve"],
        env={},
        folder=tmp_path,
    )
    assert installed[0] == 0, installed
    spec = json.loads((tmp_path / "data/kernels/aca-my-pool/kernel.json").read_text("utf-8"))
    assert spec["argv"][0] == windows.path(windows.folder / "python" / "python.exe")
    assert "{resource_dir}" in spec["argv"]
    assert listed[0] == 0, listed
    assert (helped[0], page[0]) == (0, 0)
    assert "%aca upload" in page[1]
    assert template[0] == 0, template
    assert "Microsoft.App/sessionPools" in template[1]
    assert config[0] == 0, config
    assert json.loads((tmp_path / ".vscode" / "mcp.json").read_text("utf-8"))["servers"]
    assert "Wrote the server aca-python-sessions to .vscode\\mcp.json" in config[1]
    # No VS Code is installed there; where it would have its folder is said.
    assert own[0] == 2, own
    assert "\\AppData\\Roaming\\Code\\User: start it once" in own[2]
    assert served[0] == 2
    assert served[2].count("\n") == 1, served
    assert "needs Linux or macOS" in served[2]


def test_pools_in_azure(windows: Windows, control_plane: ControlPlane, tmp_path: Path) -> None:
    lines = (
        ["pool", "list"],
        ["pool", "show"],
        ["pool", "create", "--name", "another"],
        ["pool", "rotate-key", "--name", "another"],
        ["pool", "delete", "--name", "another", "--yes"],
        ["mcp-config", "--embed-key", "--write"],
    )
    answers = run(windows, *lines, env=control_plane.env, folder=tmp_path)
    for line, (status, out, err) in zip(lines, answers, strict=True):
        assert status == 0, (line, out, err)
    assert control_plane.env["ACA_SESSION_POOL"] in answers[0][1]
    assert "another" not in answers[0][1]
    assert control_plane.pool.api_key not in "".join(out + err for _, out, err in answers)
    config = json.loads((tmp_path / ".vscode" / "mcp.json").read_text("utf-8"))
    assert control_plane.pool.api_key in json.dumps(config)


def test_doctor_finds_nothing_wrong(windows: Windows, pool: Pool, tmp_path: Path) -> None:
    lines = (["install", "--user"], ["doctor"])
    ((status, out, err),) = run(windows, *lines, env=pool.env, folder=tmp_path)[1:]
    assert "Traceback" not in out + err
    assert status == 0, out + err


@pytest.fixture
def small_pool() -> Pool:  # type: ignore[misc]  # a generator, as pytest has it
    with running_pool(max_concurrent_sessions=2) as one:
        yield one


def test_a_notebook_is_run(windows: Windows, small_pool: Pool, tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("print(6 * 7, 'Grüße →')")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    ((status, out, err),) = run(
        windows,
        ["install", "--user"],
        ["run", "--output-dir", "out", "--kernel", "aca", "a.ipynb"],
        env=small_pool.env,
        folder=tmp_path,
    )[1:]
    assert status == 0, out + err
    done = nbformat.read(tmp_path / "out" / "a.ipynb", as_version=4)
    assert done.cells[0].outputs[0].text == "42 Grüße →\n"
