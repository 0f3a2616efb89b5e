"""A notebook's folder with files of every kind, and with some that nobody may have."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...support import Client, running_kernel
from ..conftest import inside

SECRET = "nobody may have this"

# Where the secret is, by paths that the environment may think of.
DECOYS = (
    ".env", ".hidden/file.txt", "id_rsa", "server.pem", "sub/private.key", "credentials.json",
    "ignored.txt", "ignored/file.txt", "sub/ignored.log", "link.txt", "linked/outside.txt",
    "inner_link.txt", "../outside.txt", "sub/../.env", "./.env", "//.env", "sub/../../outside.txt",
)  # fmt: skip


def fill(folder: Path) -> None:
    """Put data files and decoys into a folder; what lies beyond goes beside it."""
    import numpy as np
    import pandas as pd
    from PIL import Image

    for name in (".hidden", "sub", "ignored", "package"):
        (folder / name).mkdir()
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    frame.to_csv(folder / "data.csv", index=False)
    frame.to_csv(folder / "sub" / "more data.csv", index=False)
    frame.to_parquet(folder / "data.parquet")
    np.save(folder / "array.npy", np.arange(10))
    Image.new("RGB", (3, 2), "red").save(folder / "image.png")
    with sqlite3.connect(folder / "data.db") as database:
        database.execute("create table numbers (n)")
        database.execute("insert into numbers values (42)")
    database.close()
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        archive.writestr("inner.txt", "zipped")
    (folder / "text.txt").write_text("a text\n")
    (folder / "helper_module.py").write_text("VALUE = 5\n")
    (folder / "package" / "__init__.py").write_text("from .part import VALUE\n")
    (folder / "package" / "part.py").write_text("VALUE = 6\n")
    os.symlink("text.txt", folder / "same.txt")

    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "outside.txt").write_text(SECRET)
    (folder.parent / "outside.txt").write_text(SECRET)
    os.symlink(outside / "outside.txt", folder / "link.txt")
    os.symlink(outside, folder / "linked")
    os.symlink(".env", folder / "inner_link.txt")
    (folder / ".gitignore").write_text("ignored.txt\nignored/\n*.log\n")
    for path in DECOYS:
        if not (folder / path).exists():
            (folder / path).write_text(SECRET)


@pytest.fixture(scope="module", autouse=True)
def _own_list(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the list of what has come out of this machine's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder that kernels are started in."""
    path = tmp_path / "notebooks"
    path.mkdir()
    with inside(path):
        yield path


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A full folder, for the tests of a module that do not change it."""
    path = tmp_path_factory.mktemp("full") / "notebooks"
    path.mkdir()
    fill(path)
    with inside(path):
        yield path


@pytest.fixture(scope="module")
def full_kernel(full_folder: Path) -> Iterator[Client]:
    """A kernel in it, on its embedded pool."""
    with running_kernel() as client:
        yield client
