"""What the setting `packages` says, and the files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets import TraitError

from aca_kernel.host.notebook_files.withheld import is_withheld
from aca_kernel.packages import declared
from aca_kernel.settings import AcaKernel


def read(setting: str, directory: str) -> declared.Declared:
    return declared.read(setting, directory, is_withheld)


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
    found = read("""polars "duckdb>=1" 'x ; python_version > "3"'""", str(tmp_path))
    assert found.requirements == ["polars", "duckdb>=1", 'x ; python_version > "3"']
    assert found.told == []


def test_a_file_of_requirements_includes_others(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "alpha==1  # why\n-r more.txt\n-c limits.txt\nbeta \\\n  >=2 --hash=sha256:0\n\n"
        "--extra-index-url https://me:secret@index.example/\n-e .\nlocal @ file:///x.whl\n"
    )
    (tmp_path / "more.txt").write_text("gamma\n-r requirements.txt\n")
    (tmp_path / "limits.txt").write_text("delta<3\n")
    found = read("requirements.txt", str(tmp_path))
    assert found.requirements == ["alpha==1", "gamma", "beta   >=2"]
    assert found.constraints == ["delta<3"]
    (told,) = found.told
    assert "--extra-index-url, -e, local @ file:///x.whl cannot be taken" in told
    assert "secret" not in told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_file_of_requirements_as_powershell_writes_it(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("alpha==1\r\nbeta # ü\r\n".encode(encoding))
    found = read("requirements.txt", str(tmp_path))
    assert (found.requirements, found.told) == (["alpha==1", "beta"], [])


def test_an_included_file_that_is_missing_is_named_and_the_rest_counts(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "alpha\n-r gone.txt\n-rmore.txt\n--requirement='a b.txt'\n-climits.txt\nbeta\n"
    )
    (tmp_path / "more.txt").write_text("gamma\n")
    (tmp_path / "a b.txt").write_text("delta\n")
    (tmp_path / "limits.txt").write_text("delta<3\n")
    found = read("requirements.txt", str(tmp_path))
    assert found.requirements == ["alpha", "gamma", "delta", "beta"]
    assert found.constraints == ["delta<3"]
    (told,) = found.told
    assert "Of requirements.txt, gone.txt cannot be taken" in told


def test_a_file_of_requirements_brings_nothing_else_of_this_machine(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for folder in (repository, tmp_path / ".aws", tmp_path / ".config"):
        folder.mkdir()
    key = "wJalrXUtnFEMIK7MDENG"
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\nsecret_key = {key}\n{key}\n")
    (tmp_path / ".config" / "some.txt").write_text(key)
    (tmp_path / "token.txt").write_text(key)
    (tmp_path / "notes.txt").write_text(f"beta\npassword: {key}\npassword={key}\n[{key}]\n")
    (repository / "link.txt").symlink_to("../.aws/credentials")
    (repository / "requirements.txt").write_text(
        "alpha\n-r ../.aws/credentials\n-c ../token.txt\n-r link.txt\n-r ../.config/some.txt\n"
        "-r ../notes.txt\n"
    )
    found = read("requirements.txt", str(repository))
    assert (found.requirements, found.constraints) == (["alpha", "beta"], [])
    (told,) = found.told
    assert told == (
        "Of requirements.txt, credentials, token.txt, link.txt, some.txt, what is no requirement "
        "in notes.txt cannot be taken to an environment. An index is named by the setting "
        "`packages_index_url`."
    )
    (repository / "requirements.txt").unlink()
    (repository / "requirements.txt").symlink_to("../.aws/credentials")
    assert key not in str(read("requirements.txt", str(repository)))


@pytest.mark.parametrize(
    "line",
    [
        "alpha", "alpha.b-c_d >=1,<2", "alpha[x, y]==1.*", "alpha (>=1)", "alpha~=1; os_name=='nt'",
        "alpha===1", "alpha!=1", "alpha ; python_version > '3'", "alpha @ https://x/y.whl",
        "alpha@git+ssh://git@x/y@main", "https://x/y.whl", "git+https://x/y#egg=alpha",
    ],
)  # fmt: skip
def test_what_pip_takes_is_a_requirement(line: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text(f"{line}  # why\n")
    found = read("requirements.in", str(tmp_path))
    assert (found.requirements, found.told) == ([line], [])


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (r"C:\data\requirements.txt", r"C:\data\requirements.txt"),
        (r"..\pyproject.toml:plots", r"..\pyproject.toml"),
        (r"D:/data/uv.lock:plots", "D:/data/uv.lock"),
        ("~nobody-of-this-name/requirements.txt", "~nobody-of-this-name/requirements.txt"),
        ("REQUIREMENTS.TXT", "REQUIREMENTS.TXT"),
    ],
)
def test_paths_are_taken_as_they_are_written(word: str, name: str, tmp_path: Path) -> None:
    (told,) = read(word, str(tmp_path)).told
    assert told.startswith(f"The setting `packages` names {name}, which lies neither")


@pytest.mark.parametrize("setting", ["-r more.txt", "-rmore.txt", "--requirement=more.txt"])
def test_a_file_may_be_named_as_for_pip(setting: str, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("alpha\n")
    found = read(f"beta {setting}", str(tmp_path))
    assert (found.requirements, found.told) == (["beta", "alpha"], [])


def test_a_file_is_found_in_the_folders_above(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("alpha\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert read("requirements.txt", str(below)).requirements == ["alpha"]


@pytest.mark.parametrize(
    ("word", "requirements"),
    [
        ("pyproject.toml", ["alpha>=1"]),
        ("pyproject.toml:data-science", ["gamma", "beta"]),
        ("pyproject.toml:extra", ["alpha>=1", "epsilon"]),
    ],
)
def test_a_project_and_its_groups(word: str, requirements: list[str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    found = read(word, str(tmp_path))
    assert (found.requirements, found.python, found.told) == (requirements, ">=3.10", [])


OWN = """
[project]
name = "My.Project"
dependencies = ["alpha ; python_version < '4'"]

[project.optional-dependencies]
plots = ["gamma>=1"]
all = ["my-project[plots] ; sys_platform == 'linux'", "my_project[all]"]

[dependency-groups]
dev = ["My-Project[plots]", "delta"]
own = ["member", "near", "far[x]>=1 ; python_version > '3'", "web"]
text = "alpha"
number = [1]

[tool.uv.sources]
Member = { workspace = true }
near = { path = "../near", editable = true }
far = { git = "https://git.example/far", tag = "v1", subdirectory = "python" }
web = { url = "https://files.example/web-1-py3-none-any.whl" }
"""


def test_a_project_that_asks_for_itself_gets_its_own_and_not_that_of_an_index(
    tmp_path: Path,
) -> None:
    (tmp_path / "pyproject.toml").write_text(OWN)
    found = read("pyproject.toml:all", str(tmp_path))
    assert found.requirements == [
        "alpha ; python_version < '4'",
        "alpha ; (python_version < '4') and (sys_platform == 'linux')",
        "gamma>=1 ; sys_platform == 'linux'",
    ]
    found = read("pyproject.toml:dev", str(tmp_path))
    assert found.requirements == ["alpha ; python_version < '4'", "gamma>=1", "delta"]


def test_sources_of_a_project_are_not_looked_for_at_an_index(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(OWN)
    found = read("pyproject.toml:own", str(tmp_path))
    assert found.requirements == [
        "far[x] @ git+https://git.example/far@v1#subdirectory=python ; python_version > '3'",
        "web @ https://files.example/web-1-py3-none-any.whl",
    ]
    (told,) = found.told
    assert "Of pyproject.toml, member, near cannot be taken to an environment" in told


def test_sources_with_markers_are_sources(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        """
[project]
name = "here"
dependencies = ["near>=1", "far; extra == 'x'", "torch"]

[tool.uv.sources]
near = [{ path = "../near", marker = "sys_platform == 'linux'" }]
far = [
    { git = "https://git.example/far", marker = "sys_platform == 'darwin'" },
    { url = "https://files.example/far.whl", marker = "sys_platform == 'linux'" },
]
torch = [{ index = "cpu", marker = "sys_platform == 'linux'" }]
"""
    )
    found = read("pyproject.toml", str(tmp_path))
    assert found.requirements == [
        "far @ git+https://git.example/far ; (extra == 'x') and (sys_platform == 'darwin')",
        "far @ https://files.example/far.whl ; (extra == 'x') and (sys_platform == 'linux')",
        "torch",
    ]
    (told,) = found.told
    assert "Of pyproject.toml, near cannot be taken to an environment" in told


def test_groups_that_include_each_other_many_times_are_read_once(tmp_path: Path) -> None:
    """Each asks twice for the next one: two to the power of 60."""
    groups = [
        f"g{n} = [{{include-group = 'g{n + 1}'}}, {{include-group = 'g{n + 1}'}}]\n"
        for n in range(60)
    ]
    (tmp_path / "pyproject.toml").write_text(f"[dependency-groups]\n{''.join(groups)}g60 = ['x']\n")
    assert read("pyproject.toml:g0", str(tmp_path)).requirements == ["x"]


WORKSPACE = """
version = 1

[manifest]
members = ["here", "member", "tools"]

[[package]]
name = "here"
version = "0.1.0"
source = { editable = "." }
dependencies = [
    { name = "member", extra = ["fast"], marker = "sys_platform == 'linux'" },
    { name = "far" },
]

[package.optional-dependencies]
plots = [{ name = "gamma" }]

[package.dev-dependencies]
dev = [{ name = "here", extra = ["plots"] }]

[[package]]
name = "member"
version = "0.1.0"
source = { editable = "packages/member" }
dependencies = [{ name = "alpha", marker = "python_version > '3'" }, { name = "tools" }]

[package.optional-dependencies]
fast = [{ name = "beta" }]

[[package]]
name = "tools"
version = "0.1.0"
source = { virtual = "tools" }
dependencies = [{ name = "member" }]

[[package]]
name = "far"
version = "1"
source = { git = "https://git.example/far?subdirectory=python&rev=main#0123abc" }

[[package]]
name = "alpha"
version = "1.2"
source = { registry = "https://index.example/simple" }
"""


def test_members_of_a_workspace_are_not_looked_for_at_an_index(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(WORKSPACE)
    found = read("uv.lock", str(tmp_path))
    assert found.requirements == [
        "far @ git+https://git.example/far@0123abc#subdirectory=python",
        "alpha ; (python_version > '3') and (sys_platform == 'linux')",
        "beta ; sys_platform == 'linux'",
    ]
    assert found.constraints == ["alpha==1.2"]
    (told,) = found.told
    assert "Of uv.lock, member cannot be taken to an environment" in told
    found = read("uv.lock:dev", str(tmp_path))
    assert "gamma" in found.requirements
    assert not [one for one in found.requirements if one.startswith("here")]


def test_a_lock_gives_requirements_and_the_versions_of_all(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(LOCK)
    found = read("uv.lock", str(tmp_path))
    assert found.requirements == ["alpha[fast]", "beta ; sys_platform == 'linux'"]
    assert found.constraints == [
        "alpha==1.2",
        "beta==2.0 ; (python_full_version >= '3.12') or (python_full_version < '3.12')",
        "gamma==3.0",
    ]
    assert found.python == ">=3.11"
    assert read("uv.lock:plots", str(tmp_path)).requirements == ["gamma"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("nowhere.txt", "nowhere.txt, which lies neither beside the notebook nor in a folder"),
        ("pyproject.toml:none", "has no dependency group none. It has base, Data_Science"),
        ("pyproject.toml:loop", "The dependency group loop includes itself"),
        ("own.toml:text", "The dependency group text is no list of requirements"),
        ("own.toml:number", "The dependency group number is no list of requirements"),
        ("poetry.toml", "poetry.toml lists no dependencies in a table [project]: name a"),
        ("dynamic.toml", "dynamic.toml lists no dependencies in a table [project]: name a"),
        ("broken.toml", "broken.toml is not TOML"),
        ("uv.lock", "belongs to no project of its own folder"),
        ("deep.toml", "deep.toml of the setting `packages` cannot be read"),
        ("list/uv.lock", "list/uv.lock of the setting `packages` cannot be read"),
        ("odd.txt", "odd.txt of the setting `packages` cannot be read: it is not what it must be."),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
    word: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "broken.toml").write_text("[project\n")
    (tmp_path / "poetry.toml").write_text("[tool.poetry.dependencies]\nbeta = '*'\n")
    (tmp_path / "dynamic.toml").write_text("[project]\nname = 'x'\ndynamic = ['dependencies']\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 5000)
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "uv.lock").write_text(
        '[[package]]\nname = "here"\nsource = { virtual = "." }\ndependencies = ["alpha"]\n'
    )
    found = read(f"alpha {word}", str(tmp_path))
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
