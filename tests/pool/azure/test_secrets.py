"""Neither a pool's key nor a token of Azure is ever written where others could read it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ...support import Client, ControlPlane, logging_kernel

SCRIPT = Path(sysconfig.get_path("scripts"), "aca-kernel")


class Room:
    """Folders of its own for whatever is written, and all that was said or written there."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.home, self.work = folder / "home", folder / "work"
        for one in (self.home, self.work):
            one.mkdir()
        self.said = ""
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ACA_")},
            **env,
            "HOME": str(self.home),
            "JUPYTER_DATA_DIR": str(self.home / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "TMPDIR": str(self.work),
        }

    def run(self, *words: str) -> int:
        """Run `aca-kernel` there; keep what it says."""
        command = [SCRIPT, *words]
        done = subprocess.run(
            command, env=self.env, cwd=self.work, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr
        return done.returncode

    def kernel(self) -> AbstractContextManager[Client]:
        """Start a kernel there that logs all it can."""
        return logging_kernel(self.work, env=self.env, cwd=self.work)

    def everything(self) -> str:
        """Return what was said, and the content of every file."""
        files = [path for one in (self.home, self.work) for path in one.rglob("*")]
        written = [path.read_bytes() for path in files if path.is_file()]
        assert len(written) > 4
        return self.said + b"\n".join(written).decode("utf-8", "replace")


def key_of(plane: ControlPlane) -> str:
    path = plane.pool_path() + "/fetchMCPServerCredentials"
    return str(plane.request("POST", path).json()["apiKey"])


@pytest.fixture
def room(control_plane: ControlPlane, tmp_path: Path) -> Room:
    return Room(tmp_path, control_plane.env)


def test_key_and_token_are_written_nowhere(control_plane: ControlPlane, room: Room) -> None:
    keys = {key_of(control_plane)}
    place = ("--resource-group", "local", "--pool", "local")
    assert room.run("install", "--user", *place) == 0
    assert room.run("pool", "create", "--max-sessions", "4") == 0
    assert room.run("pool", "show", "--json") == 0
    assert room.run("pool", "list") == 0
    assert room.run("mcp-config") == 0
    assert room.run("mcp-config", "--write") == 0
    assert room.run("doctor") == 0
    assert room.run("doctor", "--json", "--kernel", "aca-local") == 0
    with room.kernel() as kernel:
        assert kernel.run("6 * 7").result == "42"
        assert room.run("pool", "rotate-key") == 0
        keys.add(key_of(control_plane))
        # The new key has to be fetched for this one.
        seen = kernel.run("import os; print(dict(os.environ)); globals()")
        assert seen.error is None
        room.said += repr(seen)
        # An error, with all that is known of it.
        control_plane.wait_for(control_plane.request("DELETE", control_plane.pool_path()))
        refused = kernel.run("1")
        assert refused.error is not None
        room.said += repr(refused)
        assert room.run("pool", "show") == 1
        assert room.run("pool", "rotate-key") == 1
        assert room.run("mcp-config", "--write", "--embed-key") == 1
        assert room.run("doctor") == 1
    everything = room.everything()
    assert "fetched; it is kept in memory only" in everything
    assert "execute_request" in everything
    assert "session_pool=local" in everything
    assert len(keys) == 2
    for key in keys:
        assert key not in everything
    # A token of the local control plane begins like one of Azure.
    assert control_plane.token().startswith("eyJ")
    assert "eyJ" not in everything
    assert control_plane.env["IDENTITY_HEADER"] not in everything
