"""What the loader takes along that Python has compiled beside the kernel, and what it does not."""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
import tempfile
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from aca_kernel.remote.loader import PACKAGE, write_module

SOURCE = "answer = 42\n"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with a source that has been compiled."""
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / "module.py"
    path.write_text(SOURCE)
    py_compile.compile(str(path), doraise=True)
    return tmp_path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that are compiled from now on."""
    found: list[str] = []
    compile_source = SourceFileLoader.source_to_code

    def noting(self: SourceFileLoader, data: bytes, path: str, **words: int) -> object:
        found.append(Path(path).name)
        return compile_source(self, data, path, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(SourceFileLoader, "source_to_code", noting)
    return found


def load(text: str, beside: Path | str) -> Iterator[int]:
    """Unpack a source and yield what it says when it is imported."""
    folder = tempfile.mkdtemp()
    try:
        write_module(folder, "below/module.py", text.encode(), str(beside))
        path = Path(folder, PACKAGE, "below", "module.py")
        spec = importlib.util.spec_from_file_location("sent", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.answer
    finally:
        shutil.rmtree(folder)


def test_what_was_compiled_of_the_same_source_is_not_compiled_again(
    beside: Path, compiled: list[str]
) -> None:
    assert list(load(SOURCE, beside)) == [42]
    assert not compiled


def test_what_was_compiled_of_another_source_is_left(beside: Path, compiled: list[str]) -> None:
    # As long, and as old, as what was compiled.
    assert list(load(SOURCE.replace("42", "43"), beside)) == [43]
    assert compiled == ["module.py"]


def test_what_was_compiled_before_its_source_changed_is_left(
    beside: Path, compiled: list[str]
) -> None:
    path = beside / "below" / "module.py"
    path.write_text("answer = 44\n")
    compiled_path = Path(importlib.util.cache_from_source(str(path)))
    content = compiled_path.read_bytes()
    compiled_path.write_bytes(content[:8] + b"\0\0\0\0" + content[12:])
    assert list(load("answer = 44\n", beside)) == [44]
    assert compiled == ["module.py"]


@pytest.mark.parametrize("beside_", ["", "/no/such/folder"])
def test_a_folder_that_is_not_seen_from_there_is_done_without(
    beside_: str, compiled: list[str]
) -> None:
    assert list(load(SOURCE, beside_)) == [42]
    assert compiled == ["module.py"]
