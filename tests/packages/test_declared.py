"""What the setting `packages` says, and the files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets import TraitError

from aca_kernel.packages import declared
from aca_kernel.settings import AcaKernel

LOCK = """
version = 1
requires-python = ">=3.11"

[[package]]
name = "here"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "alpha", extra = ["fast"] },
    { name = "beta", marker = "sys_platform == 'linux'" },
]

[package.dev-dependencies]
plots = [{ name = "gamma" }]

[[package]]
name = "alpha"
version = "1.2"
source = { registry = "https://index.example/simple" }

[[package]]
name = "beta"
version = "2.0"
source = { registry = "https://index.example/simple" }
resolution-markers = ["python_full_version >= '3.12'", "python_full_version < '3.12'"]

[[package]]
name = "gamma"
version = "3.0"
source = { registry = "https://index.example/simple" }
"""

PROJECT = """
[project]
name = "here"
requires-python = ">=3.10"
dependencies = ["alpha>=1"]

[project.optional-dependencies]
extra = ["epsilon"]

[dependency-groups]
base = ["beta"]
Data_Science = ["gamma", {include-group = "base"}]
loop = [{include-group = "loop"}]
"""


def test_words_are_requirements(tmp_path: Path) -> None:
    found = declared.read("""polars "duckdb>=1" 'x ; python_version > "3"'""", str(tmp_path))
    assert found.requirements == ["polars", "duckdb>=1", 'x ; python_version > "3"']
    assert found.told == []


def test_a_file_of_requirements_includes_others(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "alpha==1  # why\n-r more.txt\n-c limits.txt\nbeta \\\n  >=2 --hash=sha256:0\n\n"
        "--extra-index-url https://me:secret@index.example/\n-e .\nlocal @ file:///x.whl\n"
    )
    (tmp_path / "more.txt").write_text("gamma\n-r requirements.txt\n")
    (tmp_path / "limits.txt").write_text("delta<3\n")
    found = declared.read("requirements.txt", str(tmp_path))
    assert found.requirements == ["alpha==1", "gamma", "beta   >=2"]
    assert found.constraints == ["delta<3"]
    (told,) = found.told
    assert "--extra-index-url, -e, local @ file:///x.whl cannot be taken" in told
    assert "secret" not in told


def test_a_file_is_found_in_the_folders_above(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("alpha\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert declared.read("requirements.txt", str(below)).requirements == ["alpha"]


@pytest.mark.parametrize(
    ("word", "requirements"),
    [
        ("pyproject.toml", ["alpha>=1"]),
        ("pyproject.toml:data-science", ["gamma", "beta"]),
        ("pyproject.toml:extra", ["epsilon"]),
    ],
)
def test_a_project_and_its_groups(word: str, requirements: list[str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    found = declared.read(word, str(tmp_path))
    assert (found.requirements, found.python, found.told) == (requirements, ">=3.10", [])


def test_a_lock_gives_requirements_and_the_versions_of_all(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(LOCK)
    found = declared.read("uv.lock", str(tmp_path))
    assert found.requirements == ["alpha[fast]", "beta ; sys_platform == 'linux'"]
    assert found.constraints == [
        "alpha==1.2",
        "beta==2.0 ; (python_full_version >= '3.12') or (python_full_version < '3.12')",
        "gamma==3.0",
    ]
    assert found.python == ">=3.11"
    assert declared.read("uv.lock:plots", str(tmp_path)).requirements == ["gamma"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("nowhere.txt", "nowhere.txt, which lies neither beside the notebook nor in a folder"),
        ("pyproject.toml:none", "has no dependency group none. It has base, Data_Science"),
        ("pyproject.toml:loop", "The dependency group loop includes itself"),
        ("broken.toml", "broken.toml is not TOML"),
        ("uv.lock", "belongs to no project of its own folder"),
        ("odd.txt", "odd.txt of the setting `packages` cannot be read: it is not what it must be."),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
    word: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "broken.toml").write_text("[project\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\xfa")
    found = declared.read(f"alpha {word}", str(tmp_path))
    assert found.requirements == ["alpha"]
    (told,) = found.told
    assert sentence in told


@pytest.mark.parametrize(
    "url",
    ["https://me:password@index.example/simple", "https://token0123456789abcdef@index.example/"],
)
def test_a_password_in_the_index_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(TraitError) as caught:
        AcaKernel(packages_index_url=url)
    assert "${NAME}" in str(caught.value)
    assert "password@" not in str(caught.value)
    assert "token0123" not in str(caught.value)


def test_a_variable_in_the_index_is_no_password() -> None:
    url = "https://${WHO}:${KEY}@index.example/simple"
    assert AcaKernel(packages_index_url=url).packages_config()["index_url"] == url


def test_a_quote_that_does_not_end_is_refused() -> None:
    with pytest.raises(TraitError, match="a quote that does not end"):
        AcaKernel(packages="polars 'duckdb")
