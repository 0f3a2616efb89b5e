"""`aca-kernel`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from aca_kernel import __version__
from aca_kernel.app import AcaKernelApp
from aca_kernel.cli import main
from aca_kernel.settings import AcaKernel

LOGOS = ["logo-32x32.png", "logo-64x64.png", "logo-svg.svg"]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

# One usable value for each setting that may stand in a kernelspec.
GIVEN = {
    "endpoint": ("--endpoint=https://pool.example/mcp", "https://pool.example/mcp"),
    "subscription": (f"--subscription={SUBSCRIPTION}", SUBSCRIPTION),
    "arm_endpoint": (
        "--arm-endpoint=https://management.usgovcloudapi.net",
        "https://management.usgovcloudapi.net",
    ),
    "allow_plain_http": ("--allow-plain-http", True),
    "cooldown_seconds": ("--cooldown-seconds=600", 600),
    "connect_timeout_seconds": ("--connect-timeout-seconds=2.5", 2.5),
    "pool_full_timeout_seconds": ("--pool-full-timeout-seconds=30", 30.0),
    "reconnect_timeout_seconds": ("--reconnect-timeout-seconds=0", 0.0),
    "key_rotation_timeout_seconds": ("--key-rotation-timeout-seconds=60", 60.0),
    "start": ("--start=first-cell", "first-cell"),
    "reuse": ("--reuse=restart", "restart"),
    "install_ipykernel": ("--no-install-ipykernel", False),
    "egress": ("--egress=disabled", "disabled"),
    "isolation": ("--isolation=process", "process"),
    "interpreter": ("--interpreter=ipykernel", "ipykernel"),
    "files": ("--files=on-demand", "on-demand"),
    "files_largest_mb": ("--files-largest-mb=10", 10),
    "files_root": ("--files-root=repository", "repository"),
    "files_total_mb": ("--files-total-mb=100", 100),
    "environment": ("--environment=OPENAI_* TZ A='b c'", "OPENAI_* TZ A='b c'"),
    "environment_file": ("--environment-file=.env", ".env"),
    "files_back": ("--files-back", True),
    "packages": ("--packages=polars duckdb>=1", "polars duckdb>=1"),
    "packages_index_url": ("--packages-index-url=https://index/simple", "https://index/simple"),
    "packages_timeout_seconds": ("--packages-timeout-seconds=9", 9.0),
    "checkpoint": ("--checkpoint=on-request", "on-request"),
    "checkpoint_before_seconds": ("--checkpoint-before-seconds=20", 20.0),
    "checkpoint_after_seconds": ("--checkpoint-after-seconds=60", 60.0),
    "checkpoint_variable_mb": ("--checkpoint-variable-mb=50", 50),
    "checkpoint_total_mb": ("--checkpoint-total-mb=100", 100),
    "checkpoint_files_mb": ("--checkpoint-files-mb=0", 0),
    "checkpoint_keep": ("--checkpoint-keep", True),
    "restore": ("--restore=off", "off"),
    "keep_alive_minutes": ("--keep-alive-minutes=90", 90.0),
}


@pytest.fixture(autouse=True)
def own_jupyter_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's kernels and settings out of the tests, and the tests out of them."""
    for name in list(os.environ):
        if name.startswith("ACA_") or name == "JUPYTER_PATH":
            monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "user"))


def install(*arguments: str) -> int:
    return main(["install", *arguments])


def spec_in(prefix: Path, name: str = "aca") -> dict[str, Any]:
    path = prefix / "share" / "jupyter" / "kernels" / name / "kernel.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def settings_of_a_kernel(spec: dict[str, Any]) -> AcaKernel:
    """Read the settings in a kernelspec's argv as the kernel does."""
    app = AcaKernelApp()
    app.parse_command_line(spec["argv"][3:])
    return AcaKernel(parent=app)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run an install that must be refused; return what it says, which is one line."""
    with pytest.raises(SystemExit) as stopped:
        sys.exit(install(*arguments))
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("aca-kernel install: ")
    assert said.err.count("\n") == 1
    return said.err


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"aca-kernel {__version__}\n"


def test_console_script_runs_the_same_program() -> None:
    script = Path(sysconfig.get_path("scripts"), "aca-kernel")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"aca-kernel {__version__}\n"


def test_kernelspec_is_bound_to_this_python(tmp_path: Path) -> None:
    assert install("--prefix", str(tmp_path)) == 0
    spec = spec_in(tmp_path)
    place = ["--kernelspec", "{resource_dir}", "-f", "{connection_file}"]
    assert spec["argv"] == [sys.executable, "-m", "aca_kernel", *place]
    assert spec["display_name"] == "Python (Azure Container Apps)"
    assert spec["language"] == "python"
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"] == {
        "debugger": True,
        "supported_encryption": ["curve"],
        "interpreter": {"path": sys.executable},
    }
    assert spec["env"] == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def test_symbolic_links_of_the_python_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A virtual environment is found by the path of its python, which is often a link.
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(link))
    assert install("--prefix", str(tmp_path)) == 0
    spec = spec_in(tmp_path)
    assert spec["argv"][0] == spec["metadata"]["interpreter"]["path"] == str(link)


def test_kernelspec_and_logos_can_be_read_by_everyone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert install("--prefix", str(tmp_path)) == 0
    finally:
        os.umask(before)
    folder = tmp_path / "share" / "jupyter" / "kernels" / "aca"
    assert sorted(item.name for item in folder.iterdir()) == ["kernel.json", *LOGOS]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(item.stat().st_mode) for item in folder.iterdir()} == {0o644}


def test_jupyter_finds_what_is_installed_for_the_user(tmp_path: Path) -> None:
    assert install("--user", "--name", "Gpu_Pool", "--display-name", "On the GPU pool") == 0
    spec = KernelSpecManager().get_kernel_spec("gpu_pool")
    assert spec.display_name == "On the GPU pool"
    assert Path(spec.resource_dir) == tmp_path / "user" / "kernels" / "gpu_pool"


def test_a_kernel_that_would_be_listed_twice_is_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert install("--sys-prefix", "--name", "west") == 0
    assert "twice" not in capsys.readouterr().out
    assert install("--user", "--name", "west") == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "share" / "jupyter" / "kernels" / "west") in said
    assert "VS Code lists it twice" in said
    assert install("--user", "--name", "east") == 0
    assert "twice" not in capsys.readouterr().out


def test_sys_prefix_is_the_prefix_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert install("--sys-prefix") == 0
    assert spec_in(tmp_path)["argv"][0] == sys.executable


def test_another_name_shows_in_the_display_name(tmp_path: Path) -> None:
    assert install("--prefix", str(tmp_path), "--name", "west") == 0
    assert spec_in(tmp_path, "west")["display_name"] == "Python (Azure Container Apps, west)"


def test_installing_again_replaces(tmp_path: Path) -> None:
    assert install("--prefix", str(tmp_path), "--cooldown-seconds=600") == 0
    assert install("--prefix", str(tmp_path)) == 0
    assert spec_in(tmp_path)["argv"][-1] == "{connection_file}"


def test_every_setting_but_the_key_is_an_option() -> None:
    # The names of a pool in Azure go together; they are tested below.
    pool = {"resource_group", "session_pool"}
    assert set(GIVEN) == set(AcaKernel.class_own_traits(config=True)) - {"api_key"} - pool


@pytest.mark.parametrize("name", GIVEN)
def test_setting_reaches_the_kernel_as_it_was_given(tmp_path: Path, name: str) -> None:
    option, value = GIVEN[name]
    assert install("--prefix", str(tmp_path), option) == 0
    spec = spec_in(tmp_path)
    assert len(spec["argv"]) == 8
    assert getattr(settings_of_a_kernel(spec), name) == value


def test_a_pool_in_azure_is_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--prefix", str(tmp_path), "--subscription", SUBSCRIPTION, "--resource-group", "rg"]
    assert install(*place, "--pool", "west") == 0
    assert 'choose the kernel "Python (Azure: west)"' in capsys.readouterr().out
    assert install(*place, "--pool", "east", "--cooldown-seconds", "600") == 0
    assert install(*place, "--pool", "east", "--name", "Big", "--display-name", "Big one") == 0
    names = {"aca-west": "Python (Azure: west)", "aca-east": "Python (Azure: east)"}
    for name, display_name in {**names, "big": "Big one"}.items():
        spec = spec_in(tmp_path, name)
        assert spec["display_name"] == display_name
        settings = settings_of_a_kernel(spec)
        assert settings.place == "azure"
        assert settings.subscription == SUBSCRIPTION
        assert settings.resource_group == "rg"
        assert settings.session_pool == ("west" if name == "aca-west" else "east")


def test_a_pool_without_its_subscription_says_which_will_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install("--prefix", str(tmp_path), "--resource-group", "rg", "--pool", "west") == 0
    assert "the Azure CLI's current account" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--pool=west"], "--resource-group"),
        (["--resource-group=rg"], "--pool"),
        (["--pool=west", "--resource-group=rg", "--endpoint=https://x/mcp"], "not both"),
        (["--pool=West", "--resource-group=rg"], "not a session pool's name"),
        (["--pool=west", "--resource-group=a/b"], "not a resource group's name"),
        (["--subscription=mine"], "not a subscription's id"),
        (["--arm-endpoint=http://arm.example"], "plain http"),
        (["--arm-endpoint=arm"], "not a web address"),
    ],
)
def test_a_pool_in_azure_that_cannot_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    assert wanted in refusal(capsys, "--prefix", str(tmp_path), *arguments)
    assert list(tmp_path.iterdir()) == []


def test_empty_endpoint_means_the_embedded_pool_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACA_MCP_ENDPOINT", "https://pool.example/mcp")
    assert install("--prefix", str(tmp_path), "--endpoint=") == 0
    assert settings_of_a_kernel(spec_in(tmp_path)).endpoint == ""


def test_environment_variables_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACA_MCP_ENDPOINT", "https://pool.example/mcp")
    monkeypatch.setenv("ACA_MCP_API_KEY", "a-secret-key")
    assert install("--prefix", str(tmp_path)) == 0
    assert "pool.example" not in json.dumps(spec_in(tmp_path))
    assert "a-secret-key" not in json.dumps(spec_in(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", "a-secret-key"],
        ["--api-key=a-secret-key"],
        ["--api_key=a-secret-key"],
        ["--AcaKernel.api_key=a-secret-key"],
        ["--api-key"],
    ],
)
def test_key_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    said = refusal(capsys, "--prefix", str(tmp_path), *arguments)
    assert "ACA_MCP_API_KEY" in said
    assert "a-secret-key" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("--name=a/b", "letters, digits"),
        ("--name=", "letters, digits"),
        # Jupyter would take these, and replace the folder above with the kernelspec.
        ("--name=.", "letters, digits"),
        ("--name=..", "letters, digits"),
        ("--display-name= ", "empty name"),
        ("--cooldown-seconds=soon", "'soon' is not a whole number of 1 or more"),
        ("--cooldown-seconds=0", "'0' is not a whole number of 1 or more"),
        ("--connect-timeout-seconds=0", "'0' is not a number of 0.1 or more"),
        ("--egress=off", "'off' is not one of enabled, disabled"),
        ("--endpoint=pool.example", "not a web address"),
        ("--endpoint=http://pool.example/mcp", "plain http"),
        # Without a place it would be the whole system's.
        ("--prefix=", "name is empty"),
        ("--no-such-thing", "unrecognized arguments"),
        ("--user", "not allowed with argument"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argument: str, wanted: str
) -> None:
    if wanted == "unrecognized arguments":
        with pytest.raises(SystemExit) as stopped:
            install("--prefix", str(tmp_path), argument)
        assert stopped.value.code == 2
        assert wanted in capsys.readouterr().err
    else:
        assert wanted in refusal(capsys, "--prefix", str(tmp_path), argument)
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A file where a folder is needed, which not even root can write into.
    (tmp_path / "share").write_text("")
    assert install("--prefix", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"aca-kernel install: The kernelspec cannot be written to {tmp_path}")
    assert said.count("\n") == 1


def test_says_where_it_is_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install("--user", "--endpoint=https://pool.example/mcp") == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "user" / "kernels" / "aca") in said
    assert "ACA_MCP_API_KEY" in said
    assert "JUPYTER_PATH" not in said


def test_says_when_jupyter_does_not_look_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install("--prefix", str(tmp_path)) == 0
    assert f"add {tmp_path / 'share' / 'jupyter'}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["pool"]])
def test_missing_command_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_of_pool_serve_comes_from_the_pool(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["pool", "serve", "--help"])
    assert stopped.value.code == 0
    assert "--max-concurrent-sessions" in capsys.readouterr().out


def test_unusable_pool_setting_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pool", "serve", "--max-concurrent-sessions", "0"]) == 2
    assert "max-concurrent-sessions" in capsys.readouterr().err


def test_install_does_not_import_the_pool() -> None:
    code = (
        "import sys; from aca_kernel.cli import main\n"
        "try: main(['install', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('aca_kernel.localpool')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
