"""`aca-kernel mcp-config`: VS Code's format, a real MCP client, and files that lose nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.cli import main

from ..pool.azure.support import clean
from ..support import ControlPlane, running_control_plane

FILE = Path(".vscode", "mcp.json")
NAME = "aca-python-sessions"
OTHER = {"command": "npx", "args": ["-y", "other"], "env": {"A": "ä"}}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with running_control_plane() as one:
        yield one


@pytest.fixture(autouse=True)
def work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and no settings but the control plane's."""
    names = request.fixturenames
    clean(monkeypatch, request.getfixturevalue("plane").env if "plane" in names else None)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Said:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def mcp_config(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> Said:
        try:
            status = main(["mcp-config", *words])
        except SystemExit as stopped:
            status = int(str(stopped.code))
        said = capsys.readouterr()
        # A key is hexadecimal here, a token begins as those of Azure do.
        assert not re.search(r"[0-9a-f]{40}|eyJ", said.out + said.err)
        return Said(status, said.out, said.err)

    return run


def key_of(plane: ControlPlane) -> str:
    path = plane.pool_path() + "/fetchMCPServerCredentials"
    return str(plane.request("POST", path).json()["apiKey"])


def written() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def tools_by(server: dict[str, Any], answers: dict[str, str]) -> list[str]:
    """Connect as an MCP client does, with VS Code's inputs answered; return the tools."""

    mcp = pytest.importorskip("mcp")
    streamable_http = pytest.importorskip("mcp.client.streamable_http")
    http = pytest.importorskip("httpx2")
    if not hasattr(mcp, "Client"):
        pytest.skip("an older mcp has another client")

    def filled(value: str) -> str:
        return re.sub(r"\$\{input:(\w+)\}", lambda found: answers[found[1]], value)

    headers = {name: filled(value) for name, value in server["headers"].items()}

    async def connect() -> list[str]:
        async with http.AsyncClient(headers=headers) as client:
            transport = streamable_http.streamable_http_client(server["url"], http_client=client)
            async with mcp.Client(transport) as session:
                return [tool.name for tool in (await session.list_tools()).tools]

    return asyncio.run(connect())


def test_prints_what_vs_code_documents_and_a_real_client_connects(
    plane: ControlPlane, mcp_config: Any
) -> None:
    said = mcp_config()
    assert said.status == 0
    endpoint = plane.request("GET", plane.pool_path()).json()["properties"]["mcpServerSettings"]
    printed = json.loads(said.out)
    assert printed == {
        "inputs": [
            {
                "type": "promptString",
                "id": "aca_python_sessions_key",
                "description": f"API key of the session pool ({NAME})",
                "password": True,
            }
        ],
        "servers": {
            NAME: {
                "type": "http",
                "url": endpoint["mcpServerEndpoint"],
                "headers": {"x-ms-apikey": "${input:aca_python_sessions_key}"},
            }
        },
    }
    answers = {"aca_python_sessions_key": key_of(plane)}
    assert "runPythonCodeInRemoteEnvironment" in tools_by(printed["servers"][NAME], answers)
    # Where the key is found, as the tutorial finds it.
    assert f"{plane.pool_path()}/fetchMCPServerCredentials?api-version=2025-02-02-" in said.err
    assert not FILE.exists()


def test_writes_a_file_that_holds_no_key_and_is_the_same_the_second_time(
    plane: ControlPlane, mcp_config: Any
) -> None:
    said = mcp_config("--write")
    assert said.status == 0
    first = FILE.read_bytes()
    assert json.loads(first) == json.loads(mcp_config().out)
    assert key_of(plane).encode() not in first
    assert "Wrote the server" in said.out
    assert "is in .vscode/mcp.json already" in mcp_config("--write", str(FILE)).out
    assert FILE.read_bytes() == first
    assert [path.name for path in FILE.parent.iterdir()] == ["mcp.json"]


def test_everything_else_in_a_file_stays(plane: ControlPlane, mcp_config: Any) -> None:
    FILE.parent.mkdir()
    before = {
        "servers": {"other": OTHER, NAME: {"url": "https://old", "headers": {"X-Mine": "1"}}},
        "inputs": [{"type": "promptString", "id": "mine", "description": "d"}],
        "unknown": [1, {"deep": None}],
    }
    FILE.write_text(json.dumps(before, indent="\t", ensure_ascii=False).replace("\n", "\r\n"))
    FILE.chmod(0o640)
    assert mcp_config("--write").status == 0
    after = written()
    assert list(after) == ["servers", "inputs", "unknown"]
    assert after["unknown"] == before["unknown"]
    assert after["servers"]["other"] == OTHER
    assert after["servers"][NAME]["headers"] == {
        "X-Mine": "1",
        "x-ms-apikey": "${input:aca_python_sessions_key}",
    }
    assert after["servers"][NAME]["url"].startswith("http://127.0.0.1:")
    assert [one["id"] for one in after["inputs"]] == ["mine", "aca_python_sessions_key"]
    text = FILE.read_bytes().decode()
    assert '\r\n\t"servers": {\r\n\t\t"other"' in text
    assert "ä" in text
    assert not text.endswith("\n")
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o640


def test_two_pools_stand_side_by_side(plane: ControlPlane, mcp_config: Any) -> None:
    assert mcp_config("--write").status == 0
    assert mcp_config("--write", "--server", "west-2").status == 0
    after = written()
    assert list(after["servers"]) == [NAME, "west-2"]
    assert [one["id"] for one in after["inputs"]] == ["aca_python_sessions_key", "west_2_key"]


def test_comments_are_never_lost(plane: ControlPlane, mcp_config: Any) -> None:
    FILE.parent.mkdir()
    text = '{\n  // mine\n  "servers": {"a": {"url": "https://x//y"},},\n}\n'
    FILE.write_text(text)
    for words in ([], ["--embed-key"]):
        said = mcp_config("--write", *words)
        assert said.status == 1
        assert FILE.read_text() == text
        assert said.err.count("\n") == 1
        assert "comments, which would be lost: nothing was written" in said.err
        assert json.loads(said.out)["servers"][NAME]["type"] == "http"
    assert not Path(".gitignore").exists()
    # Once it is there, there is nothing to lose.
    ours = json.loads(said.out)
    FILE.write_text("/* mine */ " + json.dumps(ours))
    assert mcp_config("--write").status == 0
    assert FILE.read_text().startswith("/* mine */")


def test_a_trailing_comma_is_no_obstacle(plane: ControlPlane, mcp_config: Any) -> None:
    FILE.parent.mkdir()
    FILE.write_text('{"servers": {"a": {"url": "https://x//y,}"},},}')
    assert mcp_config("--write").status == 0
    assert written()["servers"]["a"] == {"url": "https://x//y,}"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON (line 1)"),
        ("[]", "is not VS Code's"),
        ('{"servers": []}', "is not VS Code's"),
        ('{"inputs": {}}', "is not VS Code's"),
    ],
)
def test_a_broken_file_is_left_alone(
    plane: ControlPlane, mcp_config: Any, text: str, words: str
) -> None:
    FILE.parent.mkdir()
    FILE.write_text(text)
    said = mcp_config("--write")
    assert said.status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert words in said.err
    assert FILE.read_text() == text


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True)
    return done.stdout


def test_an_embedded_key_is_for_its_owner_and_not_for_git(
    plane: ControlPlane, mcp_config: Any, work: Path
) -> None:
    git("init", "--quiet")
    Path(".gitignore").write_text("*.log")
    (work / "sub").mkdir()
    os.chdir("sub")
    # From prompting to a key: nobody is asked any more.
    assert mcp_config("--write").status == 0
    said = mcp_config("--write", "--embed-key")
    assert said.status == 0
    assert f"Added {FILE} to " in said.out
    server = written()["servers"][NAME]
    assert server["headers"] == {"x-ms-apikey": key_of(plane)}
    assert "inputs" not in written()
    assert "runPythonCodeInRemoteEnvironment" in tools_by(server, {})
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert (work / ".gitignore").read_text() == "*.log\n/sub/.vscode/mcp.json\n"
    assert "mcp.json" not in git("status", "--porcelain", "--untracked-files=all")
    # Not twice.
    assert "Added" not in mcp_config("--write", "--embed-key").out
    assert (work / ".gitignore").read_text().count("mcp.json") == 1


def test_a_file_that_git_has_already_is_warned_of(
    plane: ControlPlane, mcp_config: Any, work: Path
) -> None:
    git("init", "--quiet")
    assert mcp_config("--write").status == 0
    git("add", str(FILE))
    said = mcp_config("--write", "--embed-key")
    assert said.status == 0
    assert said.err.count("\n") == 1
    assert "git tracks .vscode/mcp.json already" in said.err
    assert (work / ".gitignore").read_text() == "/.vscode/mcp.json\n"


def test_a_key_that_goes_through_a_link_is_kept_out_of_git_where_it_lies(
    plane: ControlPlane, mcp_config: Any, work: Path, tmp_path: Path
) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    git("init", "--quiet", str(dotfiles))
    FILE.parent.mkdir()
    FILE.symlink_to(dotfiles / "mcp.json")
    assert mcp_config("--write", "--embed-key").status == 0
    assert FILE.is_symlink()
    assert key_of(plane) in (dotfiles / "mcp.json").read_text()
    assert (dotfiles / ".gitignore").read_text() == "/mcp.json\n"
    git("-C", str(dotfiles), "add", "--force", "mcp.json")
    assert "git tracks" in mcp_config("--write", "--embed-key").err


def test_a_folder_that_is_ignored_needs_no_further_line(
    plane: ControlPlane, mcp_config: Any, work: Path
) -> None:
    git("init", "--quiet")
    Path(".gitignore").write_text(".vscode/\n")
    assert mcp_config("--write", "--embed-key").status == 0
    assert (work / ".gitignore").read_text() == ".vscode/\n"


def test_without_git_the_line_is_written_once(
    plane: ControlPlane, mcp_config: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet")
    monkeypatch.setenv("PATH", "")
    for _ in range(2):
        assert mcp_config("--write", "--embed-key").status == 0
    assert (work / ".gitignore").read_text() == "/.vscode/mcp.json\n"


def test_outside_of_a_repository_nothing_is_ignored(plane: ControlPlane, mcp_config: Any) -> None:
    assert mcp_config("--write", "--embed-key").status == 0
    assert not Path(".gitignore").exists()
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600


def test_a_pool_by_its_endpoint(mcp_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--endpoint", "https://pool.example/mcp", "--write")
    assert mcp_config(*words).status == 0
    assert written()["servers"][NAME]["url"] == "https://pool.example/mcp"
    refused = mcp_config(*words, "--embed-key")
    assert refused.status == 1
    assert "set ACA_MCP_API_KEY" in refused.err
    monkeypatch.setenv("ACA_MCP_API_KEY", "0123456789abcdef")
    assert mcp_config(*words, "--embed-key").status == 0
    assert written()["servers"][NAME]["headers"] == {"x-ms-apikey": "0123456789abcdef"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "There is no pool that VS Code could connect to"),
        (["--embed-key"], "The key is never printed"),
        (["--pool", "west"], "needs its resource group"),
        (["--pool", "No_Pool"], "not a session pool's name"),
        (["--endpoint", "west"], "not a web address"),
        (["--endpoint", "http://pool.example/mcp"], "plain http"),
        (["--endpoint", "https://x/mcp", "--pool", "west"], "not both"),
        (["--server", "a b"], "not a server's name"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_sentence(mcp_config: Any, words: list[str], sentence: str) -> None:
    said = mcp_config(*words)
    assert said.status == 2
    assert said.out == ""
    assert said.err.startswith("aca-kernel mcp-config: ") or "unrecognized" in said.err
    assert said.err.count("\n") == 1
    assert sentence in said.err


def test_a_folder_that_cannot_be_written_is_one_sentence(mcp_config: Any, work: Path) -> None:
    (work / "file").write_text("")
    said = mcp_config("--endpoint", "https://x/mcp", "--write", "file/mcp.json")
    assert said.status == 1
    assert said.err.count("\n") == 1
    assert "file/mcp.json" in said.err


PLACES = {
    "linux": (".config", {"XDG_CONFIG_HOME": ""}),
    "darwin": ("Library/Application Support", {}),
}


@pytest.mark.parametrize("system", PLACES)
@pytest.mark.parametrize("name", ["Code", "Code - Insiders"])
def test_the_users_own_file_is_found_where_vs_code_has_it(
    system: str, name: str, mcp_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, variables = PLACES[system]
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    own = tmp_path / folder / name / "User"
    own.mkdir(parents=True)
    (own / "mcp.json").write_text(json.dumps({"servers": {"other": OTHER}}), encoding="utf-8")
    said = mcp_config("--endpoint", "https://pool.example/mcp", "--user")
    assert said.status == 0, said.err
    servers = json.loads((own / "mcp.json").read_text(encoding="utf-8"))["servers"]
    assert servers["other"] == OTHER
    assert servers[NAME]["url"] == "https://pool.example/mcp"


def test_without_vs_code_the_place_is_named(
    mcp_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    said = mcp_config("--endpoint", "https://pool.example/mcp", "--user")
    assert said.status == 2
    assert f"no folder {tmp_path}/Code/User: start it once, or name the file" in said.err
    assert not (tmp_path / "Code").exists()
