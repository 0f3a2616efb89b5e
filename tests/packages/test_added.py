"""Packages that cells have installed come back after a relaunch, before the variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.checkpoint import leftovers, wording
from aca_kernel.remote.packages import distributions
from aca_kernel.remote.packages.added import AddedPackages
from aca_kernel.remote.packages.installer import Installer, decisive_line

from ..checkpoint.expiring import AFTER_EACH_CELL, Notebook, notebook
from ..support import Cell
from .index import PIP_INSTALL, Index, serving, wheel

# Of a class in a package: it cannot be loaded without.
THING = "class Thing:\n    pass\n"

# Makes a project whose backend makes the wheel by hand: others would be looked for in an index.
EDITABLE = """
import os
os.makedirs('project/src', exist_ok=True)
open('project/src/aca_edited.py', 'w').write('VALUE = 5')
open('project/pyproject.toml', 'w').write('''
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "aca-edited"
version = "1.0"
''')
open('project/backend.py', 'w').write('''
import os, zipfile
def build_editable(folder, *_):
    name = "aca_edited-1.0-py3-none-any.whl"
    info = "aca_edited-1.0.dist-info/"
    metadata = ["Metadata-Version: 2.1", "Name: aca-edited", "Version: 1.0"]
    kind = ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("aca_edited.pth", os.path.abspath("src"))
        wheel.writestr(info + "METADATA", chr(10).join(metadata))
        wheel.writestr(info + "WHEEL", chr(10).join(kind))
        wheel.writestr(info + "RECORD", "aca_edited.pth,,")
    return name
''')
"""


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    one = Index()
    one.add(wheel("aca-alpha", "1.0"))
    one.add(wheel("aca-alpha", "2.0", needs=["aca-beta"], code=THING))
    one.add(wheel("aca-beta", "1.0"))
    one.add(wheel("aca-gamma", "1.0", code=THING))
    with serving(one):
        yield one


@pytest.fixture(scope="module")
def shared(index: Index, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(
        tmp_path_factory.mktemp("shared"),
        *AFTER_EACH_CELL,
        f"--AcaKernel.packages_index_url={index.url}",
    ) as one:
        yield one


@pytest.fixture
def one(shared: Notebook) -> Notebook:
    if shared.started:
        shared.begin_anew()
    return shared


def install(one: Notebook, index: Index, *requirements: str) -> None:
    words = " ".join(requirements)
    cell = one.run(f"{PIP_INSTALL} --index-url {index.url} {words}")
    assert cell.status == "ok", cell.text


def not_restored(cell: Cell) -> str:
    found = re.search("not restored: (.*)", cell.said)
    return found[1] if found else ""


def test_what_pip_has_installed_is_there_after_an_expiry(one: Notebook, index: Index) -> None:
    one.run("import numpy")
    one.wait_until_stored()
    # What the image has is not kept.
    assert one.manifest()["packages"] == {"pinned": [], "kept": []}
    install(one, index, "aca-alpha")
    one.run("import aca_alpha as alpha\nthing = alpha.Thing()\nthing.n = 7")
    one.expire_when_stored()
    cell = one.run("import aca_beta\nprint(thing.n, alpha.__version__)")
    assert cell.text == "7 2.0\n", cell.said
    assert re.search(r"3 variables, 0 files and 2 packages came back in", cell.said)
    assert not_restored(cell) == ""
    # The second environment is not the image of the third.
    one.expire_when_stored()
    assert one.run("print(alpha.__version__)").text == "2.0\n"


def test_a_version_that_is_gone_is_named_and_the_rest_comes(one: Notebook, index: Index) -> None:
    install(one, index, "aca-alpha", "aca-gamma")
    one.run("import aca_alpha, aca_gamma\na, g = aca_alpha.Thing(), aca_gamma.Thing()")
    one.wait_until_stored()
    gone = index.files.pop("aca-gamma")
    try:
        one.pool.expire()
        cell = one.run("print(a)")
        assert cell.text.startswith("<aca_alpha.Thing object"), cell.said
        named = not_restored(cell)
        assert "aca-gamma 1.0 (No matching distribution found for aca-gamma==1.0)" in named
        assert "g (" in named
        assert "aca-alpha" not in named
        one.wait_until_stored()
    finally:
        index.files["aca-gamma"] = gone
    # It is still in the checkpoints that followed.
    one.pool.expire()
    cell = one.run("import aca_gamma\nprint(g)")
    assert cell.text.startswith("<aca_gamma.Thing object"), cell.said


def test_a_wheel_comes_back_by_its_files_where_no_index_has_it(one: Notebook, index: Index) -> None:
    name, data = wheel("aca-local", "3.0", code=THING)
    one.run(
        f"import tempfile\npath = tempfile.mkdtemp() + '/{name}'\n"
        f"with open(path, 'wb') as file: _ = file.write({data!r})"
    )
    assert one.run(PIP_INSTALL + " --no-index {path}").status == "ok"
    one.run("import aca_local\nthing = aca_local.Thing()")
    one.expire_when_stored()
    before = len(index.requests)
    cell = one.run("import importlib.metadata\nprint(importlib.metadata.version('aca-local'))")
    assert cell.text == "3.0\n"
    assert "aca-local" not in not_restored(cell)
    assert one.run("print(thing)").text.startswith("<aca_local.Thing object")
    assert len(index.requests) == before


def test_a_package_that_breaks_ipykernel_does_not_come_back(one: Notebook, index: Index) -> None:
    broken = "raise ImportError('a wrong version')"
    index.add(wheel("traitlets", "1.2.3", code=broken))
    install(one, index, "--no-deps", "traitlets==1.2.3", "aca-gamma")
    one.run("n = 7")
    one.wait_until_stored()
    # No remote kernel starts there any more: its environment is given up, and the next one has all
    # but that package.
    one.run("import os; os._exit(1)")
    cell = one.run("import aca_gamma; print(n)")
    assert cell.text == "7\n"
    assert "a wrong version" in cell.said
    assert "traitlets 1.2.3 (Python's kernel may not start with it)" in not_restored(cell)
    one.run("import os; os._exit(1)")
    cell = one.run("print(n)")
    assert cell.text == "7\n"
    assert "given up" not in cell.said


def test_an_editable_install_comes_back_with_its_folder(one: Notebook) -> None:
    one.run(EDITABLE)
    cell = one.run(f"{PIP_INSTALL} --no-index --no-build-isolation -e ./project")
    assert cell.status == "ok", cell.text
    assert one.run("import importlib.metadata as m; print(m.version('aca-edited'))").text == "1.0\n"
    one.expire_when_stored()
    cell = one.run("import aca_edited\nprint(aca_edited.VALUE, m.version('aca-edited'))")
    assert cell.text == "5 1.0\n", cell.said + str(cell.error)


def test_without_a_network_packages_are_named_and_the_rest_comes(
    index: Index, tmp_path: Path
) -> None:
    own = Index()
    own.files = index.files
    with (
        serving(own),
        notebook(tmp_path, *AFTER_EACH_CELL, f"--AcaKernel.packages_index_url={own.url}") as one,
    ):
        install(one, own, "aca-alpha")
        one.run("import aca_alpha\nn, thing = 7, aca_alpha.Thing()")
        one.wait_until_stored()
        own.end()
        one.pool.expire()
        cell = one.run("print(n)")
        assert cell.text == "7\n"
        reason = "no package index can be reached from the environment"
        assert f"aca-alpha 2.0 ({reason})" in not_restored(cell)
        assert f"aca-beta 1.0 ({reason})" in not_restored(cell)


def test_an_interrupt_ends_the_installation_and_all_is_kept(one: Notebook, index: Index) -> None:
    install(one, index, "aca-alpha")
    one.run("n = 7")
    one.wait_until_stored()
    with index.silent():
        one.pool.expire()
        msg_id = one.kernel.send("print(n)")
        # Said by the kernel, while the cell waits for the restore.
        one.kernel.wait_for_stream(msg_id, "Installing aca-alpha 2.0")
        one.kernel.interrupt()
        cell = one.kernel.collect(msg_id)
        assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert one.run("%aca restore").status == "ok"
    assert one.run("import aca_alpha\nprint(n)").text == "7\n"


def test_keys_of_an_index_are_in_no_checkpoint(tmp_path: Path) -> None:
    private = Index()
    private.add(wheel("aca-private"))
    private.password = "Sesame-open-1234"
    with serving(private):
        place = private.url.removeprefix("http://")
        with notebook(
            tmp_path,
            *AFTER_EACH_CELL,
            "--AcaKernel.packages=aca-private",
            "--AcaKernel.environment=INDEX_KEY",
            f"--AcaKernel.packages_index_url=http://reader:${{INDEX_KEY}}@{place}",
            env={"INDEX_KEY": private.password},
        ) as one:
            assert one.run("import aca_private").status == "ok"
            one.expire_when_stored()
            cell = one.run("print(aca_private.__version__)")
            assert cell.text == "1.0\n", cell.said
            one.wait_until_stored()
            assert one.manifest()["packages"]["pinned"] == [["aca-private", "1.0"]]
            assert private.password not in json.dumps(one.manifest())
            for path in tmp_path.rglob("*"):
                if path.is_file():
                    assert private.password.encode() not in path.read_bytes(), path


# -- values --------------------------------------------------------------------------


def manifest(**packages: Any) -> dict[str, Any]:
    return {
        "history": [],
        "files": [],
        "groups": [],
        "settings": [],
        "imports": [],
        "skipped": [],
        "order": [],
        "python": [3, 11],
        "named": 1,
        "packages": packages,
    }


def test_packages_that_did_not_come_back_stay_in_the_checkpoints_that_follow() -> None:
    kept = [{"package": ["local", "1"], "path": "local.py", "mode": 420, "pieces": ["p"]}]
    old = manifest(pinned=[["alpha", "1"], ["beta", "1"]], kept=kept)
    new = manifest(pinned=[["beta", "2"]], kept=[])
    left = leftovers.of_report({"left": {"packages": ["alpha", "beta", "local"]}})
    added = leftovers.carry_over(new, old, left, {"p": 10}, 100)
    assert added.packages == {"alpha", "local"}
    assert new["packages"] == {"pinned": [["beta", "2"], ["alpha", "1"]], "kept": kept}
    assert leftovers.references(new) == {"p"}
    assert wording.what_of(new) == "1 variable, 0 files and 3 packages"


def test_checkpoints_of_before_have_no_packages() -> None:
    old = manifest()
    del old["packages"]
    assert leftovers.references(old) == set()
    assert not leftovers.all_of(old)
    assert wording.what_of(old) == "1 variable and 0 files"


def test_addresses_are_kept_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "aca_far-1.0.dist-info"
    info.mkdir()
    url = "git+https://me:Sesame-1234@git.example/far"
    (info / "direct_url.json").write_text(json.dumps({"url": url, "vcs_info": {"vcs": "git"}}))
    (info / "RECORD").write_text("aca_far-1.0.dist-info/direct_url.json,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    installer = Installer("", 1.0)
    stored: list[bytes] = []

    class Pack:
        def add_all(self, data: memoryview) -> list[str]:
            stored.append(bytes(data))
            return ["p"]

    here = {name: one.version for name, one in distributions.find().items() if name != "aca-far"}
    skipped: list[tuple[str, str]] = []
    taken = AddedPackages(here, installer, "").take(Pack(), skipped)
    assert (taken["pinned"], skipped) == ([], [])
    assert [one["package"] for one in taken["kept"]] == [["aca-far", "1.0"]]
    assert json.loads(stored[0])["url"] == "git+https://git.example/far"


@pytest.mark.parametrize(
    ("lines", "decisive"),
    [
        (
            [
                "ERROR: Could not find a version that satisfies the requirement a==7 (from: 1)",
                "ERROR: No matching distribution found for a==7",
            ],
            "No matching distribution found for a==7",
        ),
        (
            [
                "ERROR: Cannot install a and b because these have conflicting dependencies.",
                "ERROR: ResolutionImpossible: for help visit https://pip.example",
            ],
            "Cannot install a and b because these have conflicting dependencies.",
        ),
        (
            [
                "  \u00d7 Building wheel did not run successfully.",
                "  error: no gcc",
                "[end of output]",
            ],
            "Building wheel did not run successfully: error: no gcc",
        ),
        (
            ["error: Failed to fetch: `x`", "  cause: tcp connect error", "  cause: refused"],
            "Failed to fetch: `x`: tcp connect error",
        ),
        (["/usr/bin/python: No module named pip"], "there is no pip in the environment"),
        ([], "it does not say why"),
    ],
)
def test_the_decisive_line(lines: list[str], decisive: str) -> None:
    assert decisive_line(lines) == decisive


@pytest.mark.parametrize("entry", [{"package": []}, {"package": ["a", "1", "x"]}, {}, None])
def test_an_entry_that_is_none_is_noticed(entry: Any) -> None:
    # As the checkpoint engine expects it of whatever an environment says.
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        wording.what_of(manifest(kept=[entry]))
