"""What an installation brings: the kernelspec that Jupyter finds, and every file it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from jupyter_client.kernelspec import KernelSpecManager

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = sorted(item.name for item in (ROOT / "kernelspec").iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = target.iterdir()
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_kernelspec_has_what_front_ends_show() -> None:
    assert KERNELSPEC == ["kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"]


@pytest.mark.parametrize("size", [32, 64])
def test_logo_has_the_size_that_its_name_says(size: int) -> None:
    data = (ROOT / "kernelspec" / f"logo-{size}x{size}.png").read_bytes()
    # PNG, "Image header": width and height are the first two numbers of IHDR.
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (size, size)


def test_wheel_has_every_module_of_the_checkout(wheel: set[str]) -> None:
    # The remote half is sent as source: a file that is missing shows only at run time.
    sources = {
        str(PurePosixPath(path.relative_to(ROOT))) for path in (ROOT / "aca_kernel").rglob("*.py")
    }
    assert len(sources) > 20
    assert sources <= wheel


def test_wheel_registers_the_kernelspec_and_carries_a_copy_for_install(wheel: set[str]) -> None:
    for name in KERNELSPEC:
        assert f"aca_kernel/kernelspec/{name}" in wheel
        assert any(item.endswith(f".data/data/share/jupyter/kernels/aca/{name}") for item in wheel)


def test_wheel_has_every_page_of_the_documentation(wheel: set[str]) -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert len(pages) > 10
    assert {f"aca_kernel/docs/{name}" for name in pages} <= wheel


def test_source_distribution_has_what_the_readme_leads_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.iterdir()
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    linked = re.findall(
        r"\]\(((?!https?:)[^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert {"README.md", "LICENSE", *linked} <= names


def test_wheel_has_no_tests_and_no_notebooks(wheel: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert {name.partition("-")[0] for name in top} == {"aca_kernel"}


def test_installation_has_registered_the_kernel() -> None:
    folder = Path(sysconfig.get_path("data"), "share", "jupyter", "kernels", "aca")
    assert sorted(item.name for item in folder.iterdir()) == KERNELSPEC
    spec = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    # Bare `python`, which jupyter_client takes for its own; a path of the machine that
    # built the wheel would make VS Code drop the kernel.
    place = ["--kernelspec", "{resource_dir}", "-f", "{connection_file}"]
    assert spec["argv"] == ["python", "-m", "aca_kernel", *place]
    assert spec["metadata"] == {"debugger": True, "supported_encryption": ["curve"]}
    assert spec["env"] == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def test_jupyter_finds_the_kernel() -> None:
    spec = KernelSpecManager().get_kernel_spec("aca")
    assert spec.language == "python"
    assert spec.interrupt_mode == "message"
    assert spec.argv[1:3] == ["-m", "aca_kernel"]
