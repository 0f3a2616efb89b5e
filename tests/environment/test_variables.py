"""Environment variables of cells: those that are set for this kernel arrive, and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from aca_kernel.cli import main
from aca_kernel.environment.variables import parse_file, select
from aca_kernel.settings import AcaKernel
from tests.batch.support import run, texts, write_notebook
from tests.support import Client, Pool, logging_kernel, running_kernel

REMOTE = "https://pool.example/mcp"

# As voila tells a notebook about the request that it answers.
CGI = {
    "QUERY_STRING": "country=NL",
    "SERVER_NAME": "dashboards.example",
    "SCRIPT_NAME": "/voila/render/it.ipynb",
    "REQUEST_METHOD": "GET",
}


# What is written of a remote kernel's settings, in its environment.
WRITTEN = """
import glob, tempfile
for path in glob.glob(tempfile.gettempdir() + "/aca-*/config-*.json"):
    print(open(path).read())
"""


def environ(kernel: Client) -> dict[str, str]:
    return dict(json.loads(kernel.run("import json, os; print(json.dumps(dict(os.environ)))").text))


# -- with kernels ----------------------------------------------------------------------


def test_what_is_set_for_this_kernel_arrives_on_a_pool_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Known to who starts the kernel, too, and told by tools to be set.
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    given = {"MY_RUN": "5 ä", "PYTHONHASHSEED": "0", "MPLBACKEND": "agg", **CGI}
    with running_kernel({**given, "SOME_API_KEY": "hush", "PATH": os.environ["PATH"]}) as kernel:
        found = environ(kernel)
        echoed = kernel.run("!echo $MY_RUN; echo $QUERY_STRING").text
        hashes = kernel.run("hash('a')").result
    assert {name: found.get(name) for name in given} == given
    assert found["OMP_NUM_THREADS"] == "3"
    assert echoed.split("\r\n")[:2] == ["5 ä", "country=NL"]
    seeded = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", "print(hash('a'))"]
    assert subprocess.check_output(command, env=seeded, text=True).strip() == hashes
    assert "SOME_API_KEY" not in found
    assert "JPY_SESSION_NAME" not in found
    assert found["PATH"] != os.environ["PATH"]


@contextmanager
def kernelspec(folder: Path, env: dict[str, str], *options: str) -> Iterator[dict[str, str]]:
    """Install a kernel `mine` whose kernelspec has variables; yield what makes it findable."""
    assert main(["install", "--prefix", str(folder), "--name", "mine", *options]) == 0
    file = folder / "share/jupyter/kernels/mine/kernel.json"
    spec = json.loads(file.read_text())
    spec["env"] |= env
    file.write_text(json.dumps(spec))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(folder / "share/jupyter")
    try:
        yield {"JUPYTER_PATH": str(folder / "share/jupyter")}
    finally:
        if before is None:
            del os.environ["JUPYTER_PATH"]
        else:
            os.environ["JUPYTER_PATH"] = before


def test_the_env_of_a_kernelspec_arrives_in_a_remote_pool_and_nothing_else(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OF_FILE=1\n")
    monkeypatch.chdir(tmp_path)
    stanza = {
        "STAGE": "test-${MY_RUN}",
        "MY_TOKEN": "for cells",
        "PATH": "/opt/tool/bin:${PATH}",
        "AZURE_CLIENT_SECRET": "for the kernel",
    }
    variables = {**pool.env, "MY_RUN": "5", "OMP_NUM_THREADS": "3", "QUERY_STRING": "a=1"}
    with (
        kernelspec(tmp_path, stanza) as here,
        running_kernel({**variables, **here}, name="mine") as kernel,
    ):
        found = environ(kernel)
        pool.expire()
        again = environ(kernel)
    assert found["STAGE"] == again["STAGE"] == "test-5"
    assert found["MY_TOKEN"] == "for cells"
    assert "/opt/tool" not in found["PATH"]
    unwanted = {"MY_RUN", "OMP_NUM_THREADS", "QUERY_STRING", "AZURE_CLIENT_SECRET", "OF_FILE"}
    assert not {*unwanted, *pool.env} & found.keys()


def test_the_setting_names_what_is_passed_to_a_remote_pool(pool: Pool, tmp_path: Path) -> None:
    setting = "OPENAI_* TZ STAGE='a test' REGION=eu ACA_* J*"
    variables = {
        "OPENAI_API_KEY": "for cells",
        "OPENAI_BASE_URL": "https://models.example",
        "TZ": "Asia/Tokyo",
        "JPY_SOMETHING": "of Jupyter",
        "OTHER": "1",
    }
    with (
        kernelspec(tmp_path, {}, "--environment", setting) as here,
        running_kernel({**pool.env, **variables, **here}, name="mine") as kernel,
    ):
        found = environ(kernel)
        hour = kernel.run("import time; time.tzname[0]").result
        written = kernel.run(WRITTEN).text
    assert found["OPENAI_API_KEY"] == "for cells"
    assert found["OPENAI_BASE_URL"] == "https://models.example"
    assert found["STAGE"] == "a test"
    assert found["REGION"] == "eu"
    assert hour == "'JST'"
    assert not {"OTHER", "JPY_SOMETHING", *pool.env} & found.keys()
    assert "traits" in written
    assert "for cells" not in written


def test_a_file_of_variables_is_read_where_the_setting_says_so(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("STAGE=test\nexport GREETING='hello there'\n")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with running_kernel(pool.env, arguments=("--AcaKernel.environment_file=.env",)) as kernel:
        found = environ(kernel)
    assert (found["STAGE"], found["GREETING"]) == ("test", "hello there")


def test_values_are_not_logged(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".jupyter").mkdir()
    (tmp_path / ".jupyter" / "aca_kernel_config.py").write_text(
        "c.AcaKernel.environment = 'MARKED_NAME OTHER=marked-pair'\n"
    )
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / ".jupyter"))
    monkeypatch.setenv("MARKED_NAME", "marked-value")
    for name, value in pool.env.items():
        monkeypatch.setenv(name, value)
    with logging_kernel(tmp_path) as kernel:
        found = environ(kernel)
    assert (found["MARKED_NAME"], found["OTHER"]) == ("marked-value", "marked-pair")
    log = (tmp_path / "log").read_text()
    assert "execute_request" in log
    assert "marked-" not in log


# -- in memory -------------------------------------------------------------------------


def selected(here: dict[str, str], **options: Any) -> dict[str, str]:
    settings = AcaKernel(
        endpoint=options.pop("endpoint", ""),
        environment=options.pop("environment", ""),
        environment_file=options.pop("file", ""),
    )
    return select(here, settings, **options)


def test_what_the_parent_was_started_with_stays_on_this_machine() -> None:
    here = {"A": "1", "B": "2", "C": "changed"}
    assert selected(here, parent={"A": "1", "C": "3"}) == {"B": "2", "C": "changed"}
    assert selected(here, parent=None) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "x"),
        ("DB_PASSWORD", "x"),
        ("HTTP_AUTHORIZATION", "x"),
        ("HTTP_COOKIE", "x"),
        ("AWS_PROFILE", "x"),
        ("DATABASE_URL", "postgres://me:hush@db.example/it"),
        ("PATH", "/here"),
        ("VIRTUAL_ENV", "/here"),
        ("CONDA_PREFIX", "/here"),
        ("JPY_PARENT_PID", "1"),
        ("ACA_MCP_API_KEY", "x"),
        ("AZURE_CLIENT_ID", "x"),
        ("LATIN", "caf\udce9"),
    ],
)
def test_secrets_and_what_is_about_this_machine_is_not_passed_for_having_been_set(
    name: str, value: str
) -> None:
    assert selected({name: value}, parent={}) == {}


@pytest.mark.parametrize("name", ["MONKEY_BUSINESS_NR", "COMPASS", "SASKATOON", "AUTHOR"])
def test_a_name_that_only_sounds_like_a_secret_is_passed(name: str) -> None:
    is_secret = "KEY" in name
    assert (name in selected({name: "x"}, parent={})) is not is_secret


def test_a_name_in_full_passes_what_a_pattern_does_not() -> None:
    here = {"LD_LIBRARY_PATH": "/here", "PATH": "/here", "AZURE_TENANT_ID": "t", "X": "1"}
    assert selected(here, environment="*", endpoint=REMOTE) == {"X": "1"}
    named = selected(here, environment="AZURE_TENANT_ID LD_*", endpoint=REMOTE)
    assert named == {"AZURE_TENANT_ID": "t"}


def test_a_value_in_the_setting_takes_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vars").write_text("A=file\nB=file\nC=file\nTZ=file\n")
    monkeypatch.chdir(tmp_path)
    here = {"A": "process", "B": "process", "C": "process", "TZ": "process"}
    passed = selected(here, environment="A=setting B", file="vars", parent=here)
    assert passed == {"A": "setting", "B": "process", "C": "file", "TZ": "file"}


@pytest.mark.parametrize("text", ["'never ends", "=value"])
def test_a_setting_that_cannot_be_read_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(TraitError) as caught:
        AcaKernel(environment=text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=1", "1"),
        ("  X = 1  ", "1"),
        ("export X=1", "1"),
        ("X='a # b'", "a # b"),
        ("X=a # b", "a"),
        ("X=#a", "#a"),
        ("X=# a", "# a"),
        ("X= # a", ""),
        ("X=a#b", "a#b"),
        ('X="a\\nb" # c', "a\nb"),
        ("X='a\\nb'", "a\\nb"),
        ('X="say \\"hi\\""', 'say "hi"'),
        ("X=${HOST}/x", "here/x"),
        ("X='${HOST}'", "${HOST}"),
        ("X=", ""),
        ("X=a=b", "a=b"),
        ("# X=1", None),
        ("X", None),
        ("1X=2", None),
    ],
)
def test_a_line_of_a_file_of_variables(line: str, value: str | None) -> None:
    expected = {} if value is None else {"X": value}
    assert parse_file(line + "\n", {"HOST": "here"}) == expected


def test_a_later_line_may_use_an_earlier_one() -> None:
    text = "\ufeffA=1\r\nB=${A}2\r\nA=3\r\n".removeprefix("\ufeff")
    assert parse_file(text, {}) == {"A": "3", "B": "12"}


def test_a_batch_passes_what_tools_document(tmp_path: Path) -> None:
    names = ("PYTHONHASHSEED", "OMP_NUM_THREADS", "MY_RUN")
    write_notebook(tmp_path / "it.ipynb", f"import os; print(*map(os.environ.get, {names}))")
    variables = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "3", "MY_RUN": "5"}
    done = run(tmp_path, "it.ipynb", "--output-dir", "out", env=variables)
    assert done.returncode == 0, done.stdout
    assert texts(tmp_path / "out" / "it.ipynb") == ["0 3 None\n"]
