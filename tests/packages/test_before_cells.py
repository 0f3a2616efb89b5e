"""Packages that a notebook asks for are there before its cells, from an index on loopback."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aca_kernel.settings import AcaKernel

from ..batch.support import run, texts, write_notebook
from ..support import TIMEOUT, Client, logging_kernel, running_kernel, running_pool
from .index import Index, broken_source, serving, wheel

# Cells find pip in this Python, and uv by their PATH only.
WITH_PIP = "PATH=/usr/bin:/bin"
WITHOUT_UV = f"--AcaKernel.environment={WITH_PIP}"


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    one = Index()
    one.add(wheel("aca-alpha", "1.0"))
    one.add(wheel("aca-alpha", "2.0", needs=["aca-beta"]))
    one.add(wheel("aca-beta", "1.0"))
    one.add(wheel("aca-beta", "1.5"))
    one.add(wheel("aca-gamma", "1.0", needs=["numpy>=1"]))
    one.add(broken_source("aca-broken"))
    with serving(one):
        yield one


@contextmanager
def asking_kernel(
    index: Index, packages: str = "", *arguments: str, env: dict[str, str] | None = None
) -> Iterator[Client]:
    own = [f"--AcaKernel.packages={packages}"] if packages else []
    own.append(f"--AcaKernel.packages_index_url={index.url}")
    with running_kernel(env, arguments=(*own, *arguments)) as kernel:
        yield kernel


def block(*requirements: str, python: str = ">=3.9") -> str:
    listed = "".join(f'#     "{one}",\n' for one in requirements)
    return f'# /// script\n# requires-python = "{python}"\n# dependencies = [\n{listed}# ]\n# ///\n'


def last_sentence(said: str) -> str:
    """Leave out what is said of an installation that takes its time, as on a busy machine."""
    *progress, last = re.split(r"(?<=[.…]) (?=[A-Z])", said)
    assert all(re.search("; the cell runs when that is done.$|…$", one) for one in progress)
    return last


@pytest.mark.parametrize("variables", ["", WITH_PIP], ids=["uv", "pip"])
def test_the_setting_is_installed_before_the_first_cell(variables: str, index: Index) -> None:
    before = len(index.requests)
    environment = f"--AcaKernel.environment={variables}"
    with asking_kernel(index, "aca-alpha 'aca-gamma>=1' numpy", environment) as kernel:
        cell = kernel.run("import aca_alpha, aca_beta, aca_gamma; print(aca_alpha.__version__)")
        assert cell.text == "2.0\n"
        assert last_sentence(cell.said).startswith("Installed in ")
        assert cell.said.endswith("s: aca-alpha 2.0, aca-beta 1.5, aca-gamma 1.0.")
        # What this Python has is neither looked for nor installed again.
        assert not [one for one in index.downloads[before:] if "numpy" in one]
        again = kernel.run("import numpy; print('session-env' in numpy.__file__)")
        assert (again.text, again.said) == ("False\n", "")


def test_what_is_there_in_a_fitting_version_costs_nothing(index: Index) -> None:
    before = len(index.requests)
    with asking_kernel(index, "numpy>=1 ipykernel 'nothing; python_version < \"3\"'") as kernel:
        cell = kernel.run("1 + 1")
        assert (cell.result, cell.said) == ("2", "")
    assert len(index.requests) == before


def test_a_notebook_that_asks_for_nothing_pays_nothing(shared_kernel: Client) -> None:
    """Neither by the config, which goes to an environment once, nor by imports in it."""
    assert len(json.dumps(AcaKernel().packages_config())) < 80
    shared_kernel.run("1 + 1")
    code = "sorted(one for one in sys.modules if one.endswith(('packages.attach', {})))"
    names = ("before_cells", "added", "installer", "parts", "unmet", "script_metadata", "uv_binary")
    own = ", ".join(f"'.packages.{name}'" for name in names)
    loaded = shared_kernel.run(f"import sys; {code.format(own)}").result
    assert loaded.count(",") == 0, loaded
    assert loaded.endswith("packages.attach']")


@pytest.mark.parametrize("variables", ["", WITH_PIP], ids=["uv", "pip"])
@pytest.mark.parametrize(
    ("package", "reason"),
    [
        ("aca-alpha==7", "No matching distribution found for aca-alpha==7"),
        ("aca-broken", "did not run successfully: ValueError: the compiler is on holiday"),
    ],
)
def test_a_failure_is_one_sentence_and_the_cells_run(
    package: str, reason: str, variables: str, index: Index
) -> None:
    environment = f"--AcaKernel.environment={variables}"
    with asking_kernel(index, package, environment) as kernel:
        cell = kernel.run("1 + 1")
        assert cell.result == "2"
        said = last_sentence(cell.said)
        assert said.startswith(f"The setting `packages` asks for {package}, which could not")
        assert reason in said
        # Once for an environment.
        assert kernel.run("1 + 2").said == ""


def test_uv_is_given_to_an_environment_without_it(index: Index, tmp_path: Path) -> None:
    """As a wheel, where there is enough to install; and it is no package that cells have added."""
    own = Index()
    own.files = dict(index.files)
    uv = shutil.which("uv")
    script = f'#!/bin/sh\necho given >> /tmp/given\nexec {uv} "$@"\n'
    own.add(wheel("uv", "9.9", scripts={"uv": script}))
    with serving(own), asking_kernel(own, "aca-beta aca-gamma", WITHOUT_UV) as kernel:
        assert "Installed in" in kernel.run("1").said
        assert not [one for one in own.downloads if one.startswith("uv-")]
        # What follows in the same environment has it, too.
        for code in (block("aca-alpha<2", "aca-x", "aca-y"), block("aca-x"), block("aca-alpha>1")):
            kernel.run(code)
        assert len([one for one in own.downloads if one.startswith("uv-")]) == 1
        assert int(kernel.run("!wc -l < /tmp/given").text) >= 3
        shown = kernel.run("%aca packages").text
        assert "aca-alpha" in shown
        assert "uv" not in shown


@pytest.mark.parametrize("variables", ["", WITH_PIP], ids=["uv", "pip"])
def test_one_that_cannot_be_had_does_not_keep_the_others_away(variables: str, index: Index) -> None:
    asked = "aca-alpha aca-none aca-broken aca-gamma"
    with asking_kernel(index, asked, f"--AcaKernel.environment={variables}") as kernel:
        cell = kernel.run("import aca_alpha, aca_gamma; print(aca_alpha.__version__)")
        assert cell.text == "2.0\n", cell.said
        assert "s: aca-alpha 2.0, aca-beta 1.5, aca-gamma 1.0." in cell.said
        for name, why in (("aca-none", "No matching"), ("aca-broken", "on holiday")):
            assert re.search(f"asks for {name}, which could not be installed: .*{why}", cell.said)


def test_without_a_network_the_sentence_says_so(index: Index) -> None:
    with asking_kernel(index, "aca-alpha", "--AcaKernel.egress=disabled") as kernel:
        cell = kernel.run("1 + 1")
        assert "no package index can be reached from the environment" in cell.said
        assert cell.result == "2"


def test_a_cell_with_metadata_gets_its_packages_before_it_runs(index: Index) -> None:
    with asking_kernel(index) as kernel:
        kernel.run("1")
        code = block("aca-alpha<2", python=">=3.99") + "import aca_alpha\naca_alpha.__version__"
        cell = kernel.run(code)
        assert cell.result == "'1.0'"
        assert "This cell asks for Python >=3.99, and the environment has 3." in cell.said
        assert "aca-alpha 1.0." in cell.said
        assert kernel.run(code).said == ""
        # The block may change.
        assert "aca-beta 1.0." in kernel.run(block("aca-beta<1.5")).said
        # A cell that awaits takes another way through IPython.
        cell = kernel.run(
            block("aca-gamma") + "import asyncio, aca_gamma\nawait asyncio.sleep(0)\nprint(1)"
        )
        assert cell.text == "1\n"
        cell = kernel.run(block(python="3.9"))
        assert "This cell asks for Python 3.9, which says no versions" in cell.said
        # Hidden code asks for nothing.
        assert kernel.run(block("aca-alpha>1"), store_history=False).said == ""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("# /// script\n# dependencies = [\n# ///\n1", "its script metadata is not TOML"),
        ('# /// script\n# dependencies = "x"\n# ///\n1', "`dependencies` in its script metadata"),
        (block("a") + "\n" + block("b"), "the cell has two blocks of script metadata"),
    ],
)
def test_metadata_that_cannot_be_read_is_told(
    code: str, sentence: str, shared_kernel: Client
) -> None:
    cell = shared_kernel.run(code)
    assert cell.status == "ok"
    assert f"Nothing was installed for this cell: {sentence}" in cell.said


def test_an_interrupt_ends_the_installation_and_the_cell(index: Index) -> None:
    holding = Index()
    holding.is_silent = True
    with serving(holding), asking_kernel(holding) as kernel:
        for code in ("print('ran')", "import asyncio\nawait asyncio.sleep(0)\nprint('ran')"):
            asked = len(holding.requests)
            msg_id = kernel.send(block("aca-alpha") + code)
            deadline = time.monotonic() + TIMEOUT
            while len(holding.requests) == asked and time.monotonic() < deadline:
                time.sleep(0.02)
            kernel.interrupt()
            cell = kernel.collect(msg_id)
            assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
            assert "Interrupted: aca-alpha is not installed." in cell.said
            assert cell.text == ""
        assert kernel.run("1 + 1").result == "2"


def test_an_installation_ends_at_its_time_limit_and_says_what_it_does(index: Index) -> None:
    holding = Index()
    holding.is_silent = True
    limit = "--AcaKernel.packages_timeout_seconds=3"
    with serving(holding), asking_kernel(holding, "aca-alpha", limit) as kernel:
        cell = kernel.run("1 + 1")
        assert "Installing aca-alpha; the cell runs when that is done." in cell.said
        assert "could not be installed: it takes longer than 3 s." in cell.said
        assert cell.result == "2"


def test_the_setting_names_files_beside_the_notebook(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uv.lock").write_text(
        'version = 1\n[[package]]\nname = "here"\nsource = { virtual = "." }\n'
        'dependencies = [{ name = "aca-alpha" }]\n'
        '[[package]]\nname = "aca-alpha"\nversion = "2.0"\nsource = { registry = "x" }\n'
        '[[package]]\nname = "aca-beta"\nversion = "1.0"\nsource = { registry = "x" }\n'
    )
    with asking_kernel(index, "uv.lock missing.txt") as kernel:
        cell = kernel.run("1")
        # Not the newest: those of the lock.
        assert "aca-alpha 2.0, aca-beta 1.0." in cell.said
        assert "names missing.txt, which lies neither beside the notebook" in cell.said


@pytest.mark.parametrize("is_right", [True, False])
def test_a_file_that_is_not_that_of_the_lock_is_not_installed(
    is_right: bool, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, data = wheel("aca-beta", "1.0")
    digest = hashlib.sha256(data if is_right else b"another").hexdigest()
    (tmp_path / "uv.lock").write_text(
        'version = 1\n[[package]]\nname = "here"\nsource = { virtual = "." }\n'
        'dependencies = [{ name = "aca-beta" }]\n'
        '[[package]]\nname = "aca-beta"\nversion = "1.0"\nsource = { registry = "x" }\n'
        f'wheels = [{{ url = "x/{name}", hash = "sha256:{digest}" }}]\n'
    )
    with asking_kernel(index, "uv.lock") as kernel:
        cell = kernel.run("import importlib.util; importlib.util.find_spec('aca_beta') is not None")
        assert cell.result == str(is_right), cell.said
        assert ("Hash mismatch" in cell.said) is not is_right


def test_once_for_an_environment_not_for_each_kernel(index: Index) -> None:
    with running_pool() as pool:
        said, fetched = [], []
        for _ in range(2):
            with asking_kernel(index, "aca-alpha", env=pool.env) as kernel:
                cell = kernel.run("import aca_alpha; print(aca_alpha.__version__)")
                assert cell.text == "2.0\n"
                said.append(cell.said)
                fetched.append(len(index.requests))
                kernel.run("import os; os._exit(0)")
                assert "Installed" not in kernel.run("import aca_alpha").said
        assert "Installed" in said[0]
        assert "Installed" not in said[1]
        assert fetched[0] == fetched[1]


def test_a_key_of_an_index_is_a_variable_and_is_shown_nowhere(index: Index) -> None:
    private = Index()
    private.add(wheel("aca-private"))
    private.password = "Sesame-open-1234"
    with serving(private):
        private.url = private.url.replace("://", "://reader:${INDEX_KEY}@")
        passing = "--AcaKernel.environment=INDEX_KEY"
        for key in (private.password, "Wrong-key-98765"):
            env = {"INDEX_KEY": key}
            with asking_kernel(private, "aca-private", passing, env=env) as kernel:
                cell = kernel.run("import aca_private")
                assert (cell.status == "ok") is (key == private.password), cell.said
                assert key not in str(cell.messages)


def test_a_key_that_cells_do_not_have_is_named(index: Index) -> None:
    private = Index()
    private.add(wheel("aca-private"))
    private.password = "Sesame-open-1234"
    with serving(private):
        private.url = private.url.replace("://", "://reader:${INDEX_KEY}@")
        with asking_kernel(private, "aca-private") as kernel:
            cell = kernel.run("1 + 1")
            assert "names the variable INDEX_KEY, which cells do not have" in cell.said
            assert cell.result == "2"
    # Nobody was asked in vain, nor without the key.
    assert private.requests == []


def test_without_room_for_temporary_files_the_cells_run(index: Index) -> None:
    with asking_kernel(index, "") as kernel:
        kernel.run("import tempfile; tempfile.tempdir = '/nowhere/at/all'")
        cell = kernel.run(block("aca-beta") + "\n1 + 1")
        assert "could not be installed: the environment cannot write temporary files" in cell.said
        assert (cell.result, cell.status) == ("2", "ok")


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
def test_a_batch_installs_for_each_notebook_what_its_metadata_asks_for(
    index: Index, tmp_path: Path, words: tuple[str, ...]
) -> None:
    for name, requirement in (("one", "aca-alpha<2"), ("two", "aca-alpha>=2")):
        code = "import aca_alpha\naca_alpha.__version__"
        write_notebook(tmp_path / f"{name}.ipynb", block(requirement) + "print(1)", code)
    done = run(tmp_path, ".", "--inplace", *words, env={"PIP_INDEX_URL": index.url})
    assert done.returncode == 0, done.stdout + done.stderr
    for name, version in (("one", "1.0"), ("two", "2.0")):
        assert texts(tmp_path / f"{name}.ipynb")[1] == f"'{version}'"


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
def test_a_batch_reads_metadata_ahead_of_the_first_cell(
    index: Index, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = write_notebook(
        tmp_path / "book.ipynb", "import aca_alpha\naca_alpha.__version__", block("aca-alpha<2")
    )
    done = run(tmp_path, ".", "--inplace", *words, env={"PIP_INDEX_URL": index.url})
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(path)[0].endswith("aca-alpha 1.0.\n'1.0'")


def test_metadata_is_remembered_without_a_checkpoint(index: Index) -> None:
    with running_pool() as pool:
        off = "--AcaKernel.checkpoint=off"
        with asking_kernel(index, "", off, env=pool.env) as kernel:
            kernel.run(block("aca-alpha<2", python=">=3.99"))
            pool.expire()
            cell = kernel.run("import aca_alpha\nprint(aca_alpha.__version__)")
            assert cell.text == "1.0\n", cell.said
            assert "This notebook asks for Python >=3.99" in cell.said
            assert "aca-alpha 1.0." in cell.said
            # The cell itself asks for nothing more.
            assert kernel.run(block("aca-alpha<2", python=">=3.99")).said == ""


def test_a_notebook_with_metadata_runs_under_jupyter_execute(index: Index, tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "book.ipynb", block("aca-alpha"), "import aca_alpha\naca_alpha.__version__"
    )
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", str(path), "--inplace"],
        env={**os.environ, "PIP_INDEX_URL": index.url},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert texts(path)[1] == "'2.0'"


def test_what_a_package_needs_in_another_version_goes_to_the_environment_only(
    index: Index,
) -> None:
    before = importlib.metadata.version("dill")
    index.add(wheel("aca-delta", needs=["dill>=99", "numpy"]))
    index.add(wheel("dill", "99.0"))
    with asking_kernel(index, "aca-delta") as kernel:
        cell = kernel.run("import dill, numpy; print(dill.__version__, numpy.__name__)")
        assert cell.text == "99.0 numpy\n", cell.said
        assert last_sentence(cell.said).endswith(": aca-delta 1.0, dill 99.0.")
    assert importlib.metadata.version("dill") == before


def test_a_key_is_in_no_log(tmp_path: Path) -> None:
    private = Index()
    private.add(wheel("aca-private"))
    private.password = "Sesame-open-1234"
    with serving(private):
        url = private.url.replace("://", "://reader:${INDEX_KEY}@")
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "aca_kernel_config.py").write_text(
            f"c.AcaKernel.packages = 'aca-private aca-none'\nc.AcaKernel.environment = 'INDEX_KEY'"
            f"\nc.AcaKernel.packages_index_url = {url!r}\n"
        )
        env = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
            "INDEX_KEY": private.password,
        }
        with logging_kernel(tmp_path, env=env) as kernel:
            cell = kernel.run("1")
            assert "No matching distribution found for aca-none" in cell.said
            assert private.password not in str(cell.messages)
            assert kernel.run("%aca status").status == "ok"
    assert private.password not in (tmp_path / "log").read_text()


def test_a_password_in_a_requirement_is_not_shown(shared_kernel: Client) -> None:
    cell = shared_kernel.run(
        block("far @ http://me:Sesame-1234@127.0.0.1:9/far-1-py3-none-any.whl")
    )
    assert "far @ http://127.0.0.1:9/far-1-py3-none-any.whl, which could not" in cell.said
    assert "Sesame" not in cell.said
