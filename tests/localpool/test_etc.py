"""Programs find their configuration in the sandbox; secrets of the machine's /etc are not there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.localpool import bubblewrap, etc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def test_configuration_of_packages_is_shown_and_what_may_hold_passwords_is_not(
    folder: Path,
) -> None:
    for name in ("java-21-openjdk", "chromium.d", "maven", "mysql", "sudoers.d", "profile.d"):
        (folder / name).mkdir()
    for name in ("services", "shadow", "fstab", "odbc.ini", "odbcinst.ini", "pip.conf"):
        (folder / name).touch()
    shown = [name for _, name in etc.shown(folder)]
    assert shown == ["chromium.d", "java-21-openjdk", "odbcinst.ini", "services"]


def test_a_link_is_shown_as_what_it_means(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "resolved").touch()
    (folder / "resolv.conf").symlink_to(tmp_path / "resolved")
    (folder / "java-broken").symlink_to(tmp_path / "removed")
    assert list(etc.shown(folder)) == [(str(tmp_path / "resolved"), "resolv.conf")]


def test_what_not_everybody_may_read_is_hidden(folder: Path) -> None:
    java = folder / "java-21-openjdk"
    (java / "management").mkdir(parents=True)
    (java / "keys").mkdir(mode=0o700)
    (java / "keys" / "one").touch()
    (java / "net.properties").touch()
    (java / "management" / "passwords").touch(mode=0o600)
    (folder / "magic").touch(mode=0o640)
    assert [name for _, name in etc.shown(folder)] == ["java-21-openjdk"]
    assert sorted(etc.hidden(str(java), java.name)) == [
        ("java-21-openjdk/keys", True),
        ("java-21-openjdk/management/passwords", False),
    ]


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_what_is_hidden_cannot_be_read_in_the_sandbox(monkeypatch: Any, tmp_path: Path) -> None:
    java, own, session = tmp_path / "java-21-openjdk", tmp_path / "own", tmp_path / "session"
    (java / "keys").mkdir(parents=True)
    (java / "keys" / "one").write_text("secret")
    (java / "keys").chmod(0o700)
    (java / "open").write_text("text")
    (java / "passwords").write_text("secret")
    (java / "passwords").chmod(0o600)
    for name in ("data", "tmp", "home"):
        (session / name).mkdir(parents=True)
    bubblewrap.write_etc(str(own), has_network=False)
    monkeypatch.setattr(etc, "shown", lambda: [(str(java), java.name)])
    argv = bubblewrap.arguments(
        "bwrap",
        session=str(session),
        own_etc=str(own),
        visible=[],
        mounted={},
        has_network=True,
    )
    look = f"cd /etc/{java.name} && ls keys && cat passwords open"
    done = subprocess.run(
        [*argv, "/bin/sh", "-c", look], capture_output=True, text=True, check=False
    )
    assert done.stdout == "text", done.stderr


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    "command",
    [
        "keytool -list -cacerts -storepass changeit",
        "chromium --headless --no-sandbox --disable-gpu --dump-dom about:blank",
    ],
)
def test_programs_start_in_a_sandbox(shell: Any, command: str) -> None:
    program = command.split(maxsplit=1)[0]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    answer = shell(f"{command} 2>&1")
    assert answer["exitCode"] == 0, answer["stdout"]
