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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aca_kernel.settings import AcaKernel

from ..batch.support import run, texts, write_notebook
from ..support import (
    QUICK_TOOLS,
    TIMEOUT,
    Client,
    eventually,
    logging_kernel,
    running_kernel,
    running_pool,
)
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


@pytest.fixture(scope="module")
def shared(index: Index) -> Iterator[Client]:
    """A kernel whose cells may ask for packages; each test has names of its own for them."""
    with asking_kernel(index) as kernel:
        yield kernel


@contextmanager
def asking_kernel(
    index: Index, packages: str = "", *arguments: str, env: dict[str, str] | None = None
) -> Iterator[Client]:
    own = [f"--AcaKernel.packages={packages}"] if packages else []
    own.append(f"--AcaKernel.packages_index_url={index.url}")
    with running_kernel(env, arguments=(*own, *arguments)) as kernel:
        yield kernel


def block(*requirements: str, python: str = ">=3.9", index: str = "") -> str:
    listed = "".join(f'#     "{one}",\n' for one in requirements)
    asked = f'# requires-python = "{python}"\n# dependencies = [\n{listed}# ]\n'
    asked += f'# [[tool.uv.index]]\n# url = "{index}"\n' if index else ""
    return f"# /// script\n{asked}# ///\n"


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


def test_a_notebook_that_asks_for_nothing_pays_nothing(kernel: Client) -> None:
    """Neither by the config, which goes to an environment once, nor by imports in it."""
    assert len(json.dumps(AcaKernel().packages_config())) < 80
    kernel.run("1 + 1")
    code = "sorted(one for one in sys.modules if one.endswith(('packages.attach', {})))"
    names = ("before_cells", "added", "installer", "parts", "unmet", "script_metadata", "uv_binary")
    own = ", ".join(f"'.packages.{name}'" for name in names)
    loaded = kernel.run(f"import sys; {code.format(own)}").result
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


def test_a_cell_with_metadata_gets_its_packages_before_it_runs(shared: Client) -> None:
    shared.run("1")
    code = block("aca-alpha<2", python=">=3.99") + "import aca_alpha\naca_alpha.__version__"
    cell = shared.run(code)
    assert cell.result == "'1.0'"
    assert "This cell asks for Python >=3.99, and the environment has 3." in cell.said
    assert "aca-alpha 1.0." in cell.said
    assert shared.run(code).said == ""
    # The block may change.
    assert "aca-beta 1.0." in shared.run(block("aca-beta<1.5")).said
    # A cell that awaits takes another way through IPython.
    cell = shared.run(
        block("aca-gamma") + "import asyncio, aca_gamma\nawait asyncio.sleep(0)\nprint(1)"
    )
    assert cell.text == "1\n"
    cell = shared.run(block(python="3.9"))
    assert "This cell asks for Python 3.9, which says no versions" in cell.said
    # Hidden code asks for nothing.
    assert shared.run(block("aca-alpha>1"), store_history=False).said == ""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("# /// script\n# dependencies = [\n# ///\n1", "its script metadata is not TOML"),
        ('# /// script\n# dependencies = "x"\n# ///\n1', "`dependencies` in its script metadata"),
        (block("a") + "\n" + block("b"), "the cell has two blocks of script metadata"),
    ],
)
def test_metadata_that_cannot_be_read_is_told(code: str, sentence: str, shared: Client) -> None:
    cell = shared.run(code)
    assert cell.status == "ok"
    assert f"Nothing was installed for this cell: {sentence}" in cell.said


def test_an_interrupt_ends_the_installation_and_the_cell(shared: Client) -> None:
    holding = Index()
    holding.is_silent = True
    with serving(holding):
        for code in ("print('ran')", "import asyncio\nawait asyncio.sleep(0)\nprint('ran')"):
            holding.requests.clear()
            msg_id = shared.send(block("aca-held", index=holding.url) + code)
            assert eventually(lambda: bool(holding.requests), TIMEOUT)
            shared.interrupt()
            cell = shared.collect(msg_id)
            assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
            assert "Interrupted: aca-held is not installed." in cell.said
            assert cell.text == ""
        assert shared.run("1 + 1").result == "2"


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


def test_a_file_that_is_not_that_of_the_lock_is_not_installed(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'version = 1\n[[package]]\nname = "here"\nsource = { virtual = "." }\n'
    text += 'dependencies = [{ name = "aca-alpha" }, { name = "aca-beta" }]\n'
    for project, contents in (("aca-alpha", b"another"), ("aca-beta", None)):
        name, data = wheel(project, "1.0")
        digest = hashlib.sha256(contents or data).hexdigest()
        text += f'[[package]]\nname = "{project}"\nversion = "1.0"\n'
        text += 'source = { registry = "x" }\n'
        text += f'wheels = [{{ url = "x/{name}", hash = "sha256:{digest}" }}]\n'
    (tmp_path / "uv.lock").write_text(text)
    with asking_kernel(index, "uv.lock") as kernel:
        code = "from importlib.util import find_spec as f; f('aca_alpha'), f('aca_beta').name"
        cell = kernel.run(code)
        assert cell.result == "(None, 'aca_beta')", cell.said
        assert cell.said.count("Hash mismatch") == 1, cell.said
        assert re.search("for aca-alpha, which could not be installed: .*Hash mismatch", cell.said)


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


def test_without_room_for_temporary_files_the_cells_run(shared: Client) -> None:
    shared.run("import tempfile; before = tempfile.tempdir; tempfile.tempdir = '/nowhere/at/all'")
    cell = shared.run(block("aca-homeless") + "\n1 + 1")
    shared.run("tempfile.tempdir = before")
    assert "could not be installed: the environment cannot write temporary files" in cell.said
    assert (cell.result, cell.status) == ("2", "ok")


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
def test_a_batch_installs_for_each_notebook_what_its_metadata_asks_for(
    index: Index, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code = "import aca_alpha\naca_alpha.__version__"
    for name, requirement in (("one", "aca-alpha<2"), ("two", "aca-alpha>=2")):
        write_notebook(tmp_path / f"{name}.ipynb", block(requirement) + "print(1)", code)
    # Read ahead of the first cell.
    write_notebook(tmp_path / "three.ipynb", code, block("aca-alpha<2"))
    done = run(tmp_path, ".", "--inplace", *words, env={"PIP_INDEX_URL": index.url})
    assert done.returncode == 0, done.stdout + done.stderr
    for name, version in (("one", "1.0"), ("two", "2.0")):
        assert texts(tmp_path / f"{name}.ipynb")[1] == f"'{version}'"
    assert texts(tmp_path / "three.ipynb")[0].endswith("aca-alpha 1.0.\n'1.0'")


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
        env={**os.environ, **QUICK_TOOLS, "PIP_INDEX_URL": index.url},
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


def test_a_password_in_a_requirement_is_not_shown(shared: Client) -> None:
    cell = shared.run(block("far @ http://me:Sesame-1234@127.0.0.1:9/far-1-py3-none-any.whl"))
    assert "far @ http://127.0.0.1:9/far-1-py3-none-any.whl, which could not" in cell.said
    assert "Sesame" not in cell.said
