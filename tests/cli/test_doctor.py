"""`aca-kernel doctor`: what it finds, what it says to do, and what it never shows."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pexpect
import pytest

from aca_kernel.cli import main
from aca_kernel.cli.doctor import check_environment
from aca_kernel.cli.kernelspec import install_spec, make_spec

from ..certificates import self_signed_certificate
from ..packages.index import Index, wheel, without_other_indexes
from ..packages.index import serving as serving_packages
from ..pool.azure.support import clean
from ..support import ControlPlane, Pool, running_control_plane, running_pool, serving

SCRIPT = str(Path(sys.executable).with_name("aca-kernel"))

LOCAL = ["kernelspec", "settings"]
SESSION = [
    "initialize",
    "tools",
    "launch",
    "first-command",
    "python",
    "packages",
    "ipykernel",
    "shell",
    "output",
    "round-trip",
    "clock",
    "egress",
    "index",
    "cooldown",
]
POOL_NETWORK = ["pool-proxy", "pool-dns", "pool-connection"]
ENDPOINT = [*LOCAL, *POOL_NETWORK, "key", *SESSION]
AZURE = [
    *LOCAL,
    *("azure-proxy", "azure-dns", "azure-connection"),
    *("login", "subscription", "role", "pool", "mcp-server", "key"),
    *POOL_NETWORK,
    *SESSION,
]
EMBEDDED = [*LOCAL, "embedded-pool", "isolation", *SESSION]


class Answerer(BaseHTTPRequestHandler):
    """What cells reach, or do not: it answers 403."""

    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def reachable() -> Iterator[str]:
    with serving(Answerer) as address:
        yield f"{address}/"


@pytest.fixture(scope="module", autouse=True)
def index() -> Iterator[Index]:
    """The index that cells install from."""
    one = Index()
    one.add(wheel("packaging", "99.0"))
    with serving_packages(one), without_other_indexes() as patch:
        patch.setenv("PIP_INDEX_URL", one.url)
        yield one


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with running_pool(max_concurrent_sessions=50) as one:
        yield one


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane for tests that only add pools, and use two of its pool's places."""
    with running_control_plane() as one:
        yield one


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "JUPYTER_PATH"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))


class Findings:
    """What `--json` printed: the checks by their name, and the exit status."""

    def __init__(self, status: int, findings: list[dict[str, Any]]) -> None:
        self.status = status
        self.names = [one["check"] for one in findings]
        self.by_name = {one["check"]: one for one in findings}
        self.skipped = [one["check"] for one in findings if one["status"] == "skipped"]

    def of(self, status: str) -> list[str]:
        return [name for name, one in self.by_name.items() if one["status"] == status]

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.by_name[name]


@pytest.fixture
def doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, reachable: str
) -> Any:
    def run(env: dict[str, str], *words: str) -> Findings:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        status = main(["doctor", "--json", "--reach", reachable, *words])
        said = capsys.readouterr()
        # Keys of the local pool are hexadecimal, tokens begin as Azure's.
        assert not re.search(r"[0-9a-f]{40}|eyJ", said.out + said.err)
        assert "Traceback" not in said.out + said.err
        findings = Findings(status, json.loads(said.out))
        for one in findings.by_name.values():
            assert list(one) == ["check", "status", "detail", "remedy", "seconds"]
            assert one["status"] in ("ok", "warning", "failed", "skipped")
            assert one["detail"]
            # What is wrong comes with what to do, and only that.
            assert bool(one["remedy"]) == (one["status"] in ("warning", "failed")), one
        assert status == (1 if findings.of("failed") else 0)
        return findings

    return run


def failed(findings: Findings, name: str, checks: list[str]) -> dict[str, Any]:
    """Return the only check that failed, after which all others were skipped."""
    assert findings.status == 1
    assert findings.names == checks
    assert findings.of("failed") == [name], findings.by_name
    after = checks[checks.index(name) + 1 :]
    assert findings.skipped == after
    return findings[name]


def test_the_embedded_pool_needs_no_azure(doctor: Any) -> None:
    findings = doctor({})
    assert findings.names == EMBEDDED
    assert findings.status == 0
    assert findings.skipped == []
    assert "no Azure account is used" in findings["settings"]["detail"]
    assert findings["python"]["detail"].startswith(".".join(map(str, sys.version_info[:3])))
    assert "a kernel was started" in findings["ipykernel"]["detail"]
    assert "while a Python call was pending" in findings["shell"]["detail"]
    assert findings["output"]["detail"].endswith("came whole")
    assert "pandas" in findings["packages"]["detail"]
    assert "this pool ends now" in findings["cooldown"]["detail"]


def test_without_bubblewrap_it_warns(
    doctor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    findings = doctor({})
    assert "isolation" in findings.of("warning")
    assert "apt install bubblewrap" in findings["isolation"]["remedy"]


def test_a_pool_by_its_endpoint(doctor: Any, pool: Pool) -> None:
    before = pool.calls().get("launchShell", 0)
    findings = doctor(pool.env)
    assert findings.names == ENDPOINT
    assert findings.status == 0
    assert findings.of("ok") == ENDPOINT
    assert "api_key = set (environment variable ACA_MCP_API_KEY)" in findings["settings"]["detail"]
    assert findings["egress"]["detail"].startswith("cells reach http://127.0.0.1:")
    # One place of the pool, and it says so.
    assert pool.calls()["launchShell"] == before + 1
    assert "takes one of the pool's places" in findings["launch"]["detail"]


def test_a_pool_in_azure_by_its_name(doctor: Any, control_plane: ControlPlane) -> None:
    findings = doctor(control_plane.env)
    assert findings.names == AZURE
    assert findings.of("ok") == AZURE
    assert "ManagedIdentityCredential" in findings["login"]["detail"]
    assert "environment variable ACA_SUBSCRIPTION_ID" in findings["subscription"]["detail"]
    assert "one of 5" in findings["cooldown"]["detail"]


# -- the pool refuses, or differs ------------------------------------------------------


def check_wrong_key(doctor: Any, pool: Pool) -> None:
    findings = doctor({**pool.env, "ACA_MCP_API_KEY": "not-the-key"})
    found = failed(findings, "initialize", ENDPOINT)
    assert found["detail"] == "The session pool refused the API key."
    assert "set ACA_MCP_API_KEY" in found["remedy"]
    assert "because initialize failed" in findings["tools"]["detail"]


def test_a_wrong_key(doctor: Any, pool: Pool) -> None:
    check_wrong_key(doctor, pool)


def test_a_wrong_key_that_is_told_in_a_result(doctor: Any) -> None:
    with running_pool(quirks=["auth_error_in_200"]) as pool:
        check_wrong_key(doctor, pool)


def test_no_key(doctor: Any, pool: Pool) -> None:
    findings = doctor({"ACA_MCP_ENDPOINT": pool.endpoint})
    assert "Set ACA_MCP_API_KEY" in failed(findings, "key", ENDPOINT)["remedy"]


def test_a_key_that_is_not_accepted_yet(doctor: Any) -> None:
    with running_control_plane(key_rotation_seconds=600) as plane:
        plane.request("POST", plane.pool_path() + "/regenerateCredentials")
        found = failed(doctor(plane.env), "initialize", AZURE)
    assert "five minutes" in found["remedy"]


def test_no_mcp_server_there(doctor: Any, reachable: str) -> None:
    findings = doctor({"ACA_MCP_ENDPOINT": reachable + "mcp", "ACA_MCP_API_KEY": "some-key"})
    failed(findings, "initialize", ENDPOINT)


def test_null_for_the_mcp_settings_hints_at_the_preview(doctor: Any) -> None:
    with running_control_plane(quirks=["mcp_settings_null"]) as plane:
        found = failed(doctor(plane.env), "mcp-server", AZURE)
    assert "(null)" in found["detail"]
    assert "the preview may be missing" in found["remedy"]
    assert "--name SessionPoolsSupportMCP" in found["remedy"]


def test_a_pool_without_mcp_is_to_be_made_anew(doctor: Any, control_plane: ControlPlane) -> None:
    body = control_plane.request("GET", control_plane.pool_path()).json()
    body["properties"]["mcpServerSettings"] = {"isMCPServerEnabled": False}
    path = control_plane.pool_path("no-mcp")
    control_plane.wait_for(control_plane.request("PUT", path, body))
    findings = doctor(control_plane.env, "--resource-group", "local", "--pool", "no-mcp")
    assert findings.of("failed") == ["mcp-server"]
    assert findings["pool"]["status"] == "ok"
    assert "aca-kernel pool create" in findings["mcp-server"]["remedy"]


def test_a_reader_lacks_the_role(doctor: Any) -> None:
    with running_control_plane(quirks=["reader_role"]) as plane:
        findings = doctor(plane.env)
    assert findings.of("failed") == ["role"]
    assert "Container Apps SessionPools Contributor" in findings["role"]["detail"]
    # What it may do is looked at all the same.
    assert findings["pool"]["status"] == findings["mcp-server"]["status"] == "ok"
    assert findings.skipped == AZURE[AZURE.index("key") :]


def test_no_role_at_all(doctor: Any) -> None:
    with running_control_plane(quirks=["no_role"]) as plane:
        found = failed(doctor(plane.env), "role", AZURE)
    assert "Ask its owner" in found["remedy"]


def test_a_pool_that_does_not_exist(doctor: Any, control_plane: ControlPlane) -> None:
    findings = doctor(control_plane.env, "--resource-group", "local", "--pool", "nowhere")
    assert findings.of("failed") == ["pool"]
    assert "`aca-kernel pool list`" in findings["pool"]["remedy"]


def test_nobody_is_logged_in(doctor: Any, control_plane: ControlPlane, tmp_path: Path) -> None:
    env = {
        **{name: control_plane.env[name] for name in control_plane.env if name.startswith("ACA")},
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
        "PATH": str(tmp_path),
    }
    findings = doctor(env)
    assert findings.of("failed") == ["login"]
    assert "Run `az login`" in findings["login"]["remedy"]


def test_tools_that_wait_for_each_other(doctor: Any) -> None:
    with running_pool(quirks=["serialise_tools"]) as pool:
        findings = doctor(pool.env)
    assert findings.of("warning") == ["shell"]
    assert "serialised" in findings["shell"]["detail"]


@pytest.mark.parametrize("interpreter", ["light", "ipykernel"])
def test_output_that_is_cut(doctor: Any, interpreter: str) -> None:
    with running_pool(output_limit=4096, interpreter=interpreter) as pool:
        findings = doctor(pool.env)
    assert findings.of("warning") == ["output"]
    assert findings["output"]["detail"] == "cut after 4096 characters"


def test_output_that_is_cut_to_nearly_nothing(doctor: Any) -> None:
    with running_pool(output_limit=900) as pool:
        findings = doctor(pool.env)
    assert "output" in findings.of("failed")
    assert "cut after 900 characters" in findings["output"]["detail"]


def test_an_environment_without_ipykernel(doctor: Any) -> None:
    with running_pool(quirks=["no_ipykernel"]) as pool:
        findings = doctor(pool.env)
    assert findings.of("warning") == ["ipykernel"]
    assert "plain mode" in findings["ipykernel"]["remedy"]


@pytest.mark.parametrize("quirks", [[], ["pool_full_as_404"]])
def test_a_full_pool_is_told_at_once(doctor: Any, quirks: list[str]) -> None:
    with running_pool(max_concurrent_sessions=1, quirks=quirks) as pool:
        assert doctor(pool.env).status == 0
        findings = doctor(pool.env)
    (name,) = findings.of("failed")
    assert name in ("launch", "first-command")
    assert "is full" in findings[name]["detail"]
    assert "maxConcurrentSessions" in findings[name]["remedy"]


def test_a_pool_without_network(doctor: Any) -> None:
    with running_pool(egress="disabled") as pool:
        findings = doctor(pool.env)
    assert findings.of("warning") == ["egress", "index"]
    assert "--egress enabled" in findings["egress"]["remedy"]
    assert findings["index"]["detail"] == "no package index is reached"


def test_egress_that_is_meant_to_be_off_is_no_warning(doctor: Any) -> None:
    name = install({"egress": "disabled"})
    findings = doctor({}, "--kernel", name)
    for name in ("egress", "index"):
        assert findings[name]["status"] == "ok"
        assert "egress is disabled" in findings[name]["detail"]


def test_a_pool_that_runs_shells_only(doctor: Any, control_plane: ControlPlane) -> None:
    body = control_plane.request("GET", control_plane.pool_path()).json()
    body["properties"]["containerType"] = "Shell"
    control_plane.wait_for(control_plane.request("PUT", control_plane.pool_path("shells"), body))
    findings = doctor(control_plane.env, "--resource-group", "local", "--pool", "shells")
    assert findings.of("warning") == ["pool"]
    assert findings.of("failed") == ["tools"]
    assert "PythonLTS" in findings["tools"]["remedy"]


def test_a_slow_way_is_told(doctor: Any, pool: Pool) -> None:
    pool.fault(kind="delay", seconds=1.1, every=1, tool="runPythonCodeInRemoteEnvironment")
    try:
        findings = doctor(pool.env)
    finally:
        pool.clear_faults()
    assert "round-trip" in findings.of("warning")
    assert re.match(r"median 1\d{3} ms, slowest \d{4} ms, of 7", findings["round-trip"]["detail"])
    assert "nearer location" in findings["round-trip"]["remedy"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_is_told(
    doctor: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() + 3600 * hours, monotonic=time.monotonic)
    monkeypatch.setattr(check_environment, "time", wrong)
    findings = doctor(pool.env)
    assert findings.of("warning") == ["clock"]
    assert re.search(r"are 3[56]\d\d s apart", findings["clock"]["detail"])
    assert "Set this machine's clock" in findings["clock"]["remedy"]


def test_lost_answers_do_not_spoil_it(doctor: Any, pool: Pool) -> None:
    pool.fault(kind="drop_after", every=3, tool="runPythonCodeInRemoteEnvironment")
    try:
        findings = doctor(pool.env)
    finally:
        pool.clear_faults()
    assert findings["shell"]["status"] == "ok"
    assert findings["ipykernel"]["status"] == "ok"


# -- the way there ---------------------------------------------------------------------

KEY = {"ACA_MCP_API_KEY": "some-key"}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def nowhere() -> dict[str, str]:
    """Variables of a pool that is not there, for what is found ahead of it."""
    return {"ACA_MCP_ENDPOINT": f"http://127.0.0.1:{closed_port()}/mcp", **KEY}


def test_a_port_where_nobody_listens(doctor: Any) -> None:
    found = failed(doctor(nowhere()), "pool-connection", ENDPOINT)
    assert "refuses connections" in found["detail"]


def test_a_name_that_is_not_known(doctor: Any) -> None:
    # RFC 2606: no such name will ever exist.
    env = {"ACA_MCP_ENDPOINT": "https://pool.invalid/mcp", **KEY}
    found = failed(doctor(env), "pool-dns", ENDPOINT)
    assert found["detail"] == "The name pool.invalid is not known."


def test_plain_http_is_refused(doctor: Any, capsys: pytest.CaptureFixture[str]) -> None:
    findings = doctor({"ACA_MCP_ENDPOINT": "http://pool.example/mcp", **KEY})
    found = failed(findings, "settings", [*LOCAL, *SESSION])
    assert "plain http" in found["detail"]
    assert main(["doctor", "--endpoint", "http://pool.example/mcp"]) == 2
    assert "plain http" in capsys.readouterr().err


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Serve 403 by TLS with a certificate that nobody knows; yield port and certificate."""
    certificate = self_signed_certificate(folder)
    with serving(Answerer, certificate) as address:
        yield int(address.rpartition(":")[2]), certificate


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_certificate_that_is_not_trusted_is_named(doctor: Any, tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, certificate):
        env = {"ACA_MCP_ENDPOINT": f"https://127.0.0.1:{port}/mcp", **KEY}
        found = failed(doctor(env), "pool-connection", ENDPOINT)
        assert "self-signed certificate" in found["detail"].replace("self signed", "self-signed")
        assert "set SSL_CERT_FILE" in found["remedy"]
        env["SSL_CERT_FILE"] = certificate
        found = doctor(env)["pool-connection"]
        assert found["status"] == "ok"
        assert found["detail"] == "TLSv1.3 to 127.0.0.1, certificate by 127.0.0.1"
        env["ACA_MCP_ENDPOINT"] = f"https://localhost:{port}/mcp"
        found = failed(doctor(env), "pool-connection", ENDPOINT)
        assert "what answers there is another server" in found["remedy"]


@contextmanager
def connect_proxy(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that answers CONNECT so, and passes on if that is 200; yield what it was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            asked.append(head)
            client.sendall(b"HTTP/1.1 " + answer + b"\r\n\r\n")
            if answer.startswith(b"200"):
                port = int(head.split()[1].rpartition(b":")[2])
                server = socket.create_connection(("127.0.0.1", port))
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(5)
                server.close()
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_a_proxy_is_named_and_its_refusal_too(doctor: Any) -> None:
    with connect_proxy(b"407 Proxy Authentication Required") as (port, asked):
        env = {
            "ACA_MCP_ENDPOINT": "https://pool.invalid/mcp",
            "HTTPS_PROXY": f"http://someone:hush-hush@127.0.0.1:{port}",
            **KEY,
        }
        findings = doctor(env)
    assert f"http://127.0.0.1:{port}" in findings["pool-proxy"]["detail"]
    # The proxy resolves the name.
    assert findings["pool-dns"]["status"] == "ok"
    assert "HTTP 407" in failed(findings, "pool-connection", ENDPOINT)["detail"]
    assert asked[0].startswith(b"CONNECT pool.invalid:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in asked[0]
    everything = json.dumps(findings.by_name)
    assert "hush-hush" not in everything
    assert "someone" not in everything


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_certificates_are_checked_through_a_proxy(doctor: Any, tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, _), connect_proxy(b"200 OK") as (proxy, asked):
        env = {
            "ACA_MCP_ENDPOINT": f"https://127.0.0.2:{port}/mcp",
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy}",
            **KEY,
        }
        found = failed(doctor(env), "pool-connection", ENDPOINT)
    assert "could not be verified" in found["detail"]
    assert asked


# -- kernelspecs and settings ----------------------------------------------------------


def install(settings: dict[str, Any], name: str = "mine", **changes: Any) -> str:
    spec = {**make_spec(name, None, settings), **changes}
    install_spec(spec, name, user=True, prefix=None)
    return name


def test_a_kernelspecs_settings_count(doctor: Any, pool: Pool) -> None:
    name = install({"endpoint": pool.endpoint, "cooldown_seconds": 600})
    findings = doctor({"ACA_MCP_API_KEY": pool.api_key}, "--kernel", name)
    assert findings.status == 0
    shown = findings["settings"]["detail"]
    assert f"endpoint = {pool.endpoint} (kernelspec mine)" in shown
    assert "cooldown_seconds = 600 (kernelspec mine)" in shown
    assert findings["cooldown"]["detail"].startswith("600 s")


def test_a_kernelspecs_environment_variables_count_for_the_time_of_the_checks(
    doctor: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", pool.api_key)
    env = {"ACA_MCP_ENDPOINT": pool.endpoint, "ACA_MCP_API_KEY": "${MY_KEY}"}
    name = install({}, env=env)
    assert doctor({}, "--kernel", name).status == 0
    assert "ACA_MCP_ENDPOINT" not in os.environ


def test_the_command_line_counts_more_than_a_kernelspec(
    doctor: Any, control_plane: ControlPlane
) -> None:
    name = install({"endpoint": "https://pool.invalid/mcp"})
    words = ("--kernel", name, "--resource-group", "local", "--pool", "local")
    findings = doctor(control_plane.env, *words)
    assert findings.names == AZURE
    assert findings.status == 0
    assert "session_pool = local (command line)" in findings["settings"]["detail"]


def test_a_kernelspec_that_is_not_there(doctor: Any) -> None:
    found = failed(doctor({}, "--kernel", "nowhere"), "kernelspec", [*LOCAL, *SESSION])
    assert "aca-kernel install --user --name nowhere" in found["remedy"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "another program's"),
        (["/nowhere/python", "-m", "aca_kernel"], "does not start"),
        (["/bin/false", "-m", "aca_kernel"], "has no aca_kernel"),
    ],
)
def test_a_kernelspec_that_cannot_work(doctor: Any, argv: list[str], words: str) -> None:
    name = install({}, argv=argv)
    found = failed(doctor({}, "--kernel", name), "kernelspec", [*LOCAL, *SESSION])
    assert words in found["detail"]


@pytest.mark.parametrize("python", ["python", "python3", f"python3.{sys.version_info.minor}"])
def test_a_python_that_jupyter_replaces_by_its_own_is_that_one(
    doctor: Any, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / python).symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    name = install({"endpoint": "http://127.0.0.1:9/mcp"}, argv=[python, "-m", "aca_kernel"])
    assert doctor({}, "--kernel", name)["kernelspec"]["status"] == "ok"


def test_a_key_in_a_kernelspec_is_warned_of_and_not_shown(doctor: Any, pool: Pool) -> None:
    name = install({"endpoint": nowhere()["ACA_MCP_ENDPOINT"], "api_key": pool.api_key})
    findings = doctor({}, "--kernel", name)
    assert findings.of("warning") == ["settings"]
    assert "others can read" in findings["settings"]["remedy"]
    assert "api_key = set (kernelspec mine)" in findings["settings"]["detail"]


def test_a_setting_that_cannot_be_one(doctor: Any) -> None:
    name = install({"cooldown_seconds": "soon"})
    found = failed(doctor({}, "--kernel", name), "settings", [*LOCAL, *SESSION])
    assert "cooldown_seconds" in found["detail"]
    assert "kernelspec mine" in found["detail"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c.AcaKernel.cooldown_secs = 5", "no such settings: cooldown_secs (configuration file)"),
        ("c.AcaKernel.api_key = hush_hush", "cannot be read (NameError)"),
        ("c.AcaKernel.", "cannot be read (SyntaxError)"),
    ],
)
def test_a_configuration_file_with_a_mistake(
    doctor: Any, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "aca_kernel_config.py").write_text(text)
    findings = doctor(nowhere())
    assert findings["settings"]["status"] == "warning"
    assert words in findings["settings"]["remedy"]
    assert "hush_hush" not in json.dumps(findings.by_name)


def test_half_of_a_pools_name(doctor: Any) -> None:
    found = failed(doctor({"ACA_SESSION_POOL": "west"}), "settings", [*LOCAL, *SESSION])
    assert "needs its resource group" in found["detail"]


# -- how it is shown -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pool", "No_Pool"], "not a session pool's name"),
        (["--endpoint", "west"], "not a web address"),
        (["--endpoint", "https://x/mcp", "--pool", "west"], "not both"),
        (["--reach", "pypi"], "not a web address"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_bad_usage_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    try:
        status = main(["doctor", *words])
    except SystemExit as stopped:
        status = int(str(stopped.code))
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sentence in said.err


def test_lines_for_people_have_no_colour_without_a_terminal(pool: Pool, reachable: str) -> None:
    env = {**os.environ, **pool.env, "ACA_MCP_API_KEY": "not-the-key"}
    done = subprocess.run(
        [SCRIPT, "doctor", "--reach", reachable],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout
    number = next(n for n, line in enumerate(lines) if line.startswith("failed  initialize "))
    assert lines[number + 1].strip().startswith("Remedy: Fetch the current key")
    assert any(line.startswith("skipped tools ") for line in lines)
    assert lines[-1] == "6 ok, 1 failed, 13 skipped"


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_terminal_gets_symbols_and_colour(pool: Pool, reachable: str, no_colour: str) -> None:
    env = {**os.environ, **pool.env, "NO_COLOR": no_colour, "PYTHONIOENCODING": "utf-8"}
    child = pexpect.spawn(
        SCRIPT, ["doctor", "--reach", reachable], env=env, encoding="utf-8", timeout=60
    )
    child.setwinsize(40, 200)
    said = child.read()
    child.close()
    assert child.exitstatus == 0
    assert ("\x1b[32m✓\x1b[0m initialize" in said) is (no_colour == "")
    assert ("✓ initialize" in said) is (no_colour == "1")
    assert "20 ok" in said


def test_a_reader_that_goes_away_is_no_traceback(pool: Pool) -> None:
    command = f"{SCRIPT} doctor --endpoint https://pool.invalid/mcp | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_an_index_that_wants_a_key(doctor: Any, pool: Pool) -> None:
    private = Index()
    private.add(wheel("packaging", "99.0"))
    private.password = "Sesame-open-1234"
    with serving_packages(private):
        url = private.url.replace("://", "://reader:${INDEX_KEY}@")
        name = install({"packages_index_url": url, "environment": "INDEX_KEY"})
        for key, status in ((private.password, "ok"), ("Wrong-key-98765", "warning")):
            findings = doctor({**pool.env, "INDEX_KEY": key}, "--kernel", name)
            assert findings["index"]["status"] == status
            assert key not in json.dumps(findings.by_name)
