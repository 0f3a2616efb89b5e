"""Folders for kernels that tests share: each test finds a place without files of others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ..support import Client, running_kernel


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """Start kernels in a folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


@contextmanager
def kernel_in(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Client]:
    """Run a kernel with this folder as its notebook's."""
    with ExitStack() as stack:
        with inside(folder):
            client = stack.enter_context(running_kernel(env, arguments=arguments))
        yield client


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kernel that the tests of a module take in turn."""
    path = tmp_path_factory.mktemp("place") / "notebooks"
    path.mkdir()
    return path


def empty(folder: Path) -> None:
    """Remove what is in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture
def bare(place: Path) -> Iterator[Path]:
    """That folder, in which there is nothing: for kernels that know nothing of it either."""
    empty(place)
    with inside(place):
        yield place


@pytest.fixture
def corner(place: Path) -> Iterator[Path]:
    """A folder of the test's own in it: no other test's files have ever been there."""
    path = place / f"corner{len(os.listdir(place))}"
    path.mkdir()
    with inside(path):
        yield path
