"""How far up from the notebook files are found, and what is said of those beyond."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.host.notebook_files.files_root import find_root
from aca_kernel.host.notebook_files.folder import Folder
from aca_kernel.host.notebook_files.outside_files import sentence_for
from aca_kernel.localpool import bubblewrap
from aca_kernel.remote.notebook_files.local_path import LocalPath

from ...support import Client, running_kernel
from ..conftest import inside
from .conftest import SECRET
from .test_opened_in_c import MADE

DECOYS = (
    "../.env", "../.git/config", "../id_rsa", "../ignored.txt", "../data/ignored.txt",
    "../link.txt", "../../outside.txt", "../../project2/x.txt", "../.hidden/x.txt",
)  # fmt: skip


def make(folder: Path) -> Path:
    """Make a project with notebooks beside data, and decoys; return the notebook's folder."""
    project = folder / "project"
    for name in ("notebooks", "data", ".git", ".hidden", "../project2", "src"):
        (project / name).mkdir(parents=True)
    (project / "data" / "x.csv").write_text("a\n1\n")
    (project / "notebooks" / "own.txt").write_text("own\n")
    (project / "src" / "helper_of_src.py").write_text("VALUE = 7\n")
    (project / ".gitignore").write_text("ignored.txt\n")
    (folder / "outside.txt").write_text(SECRET)
    os.symlink(folder / "outside.txt", project / "link.txt")
    for path in DECOYS:
        place = project / "notebooks" / path
        if not place.exists():
            place.write_text(SECRET)
    return project / "notebooks"


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The notebook's folder of a project, which kernels are started in."""
    with inside(make(tmp_path_factory.mktemp("root"))) as folder:
        yield folder


@pytest.fixture(scope="module")
def kernel(notebooks: Path) -> Iterator[Client]:
    """A kernel whose files reach up to the repository."""
    assert notebooks
    with running_kernel(arguments=("--AcaKernel.files_root=repository",)) as client:
        yield client


@pytest.fixture(scope="module")
def plain_kernel(notebooks: Path) -> Iterator[Client]:
    """A kernel whose files reach no further than the notebook's folder."""
    assert notebooks
    with running_kernel() as client:
        yield client


def test_paths_that_lead_up_find_the_projects_files(kernel: Client) -> None:
    run = kernel.run
    assert run("open('../data/x.csv').read()").result == "'a\\n1\\n'"
    assert run("import os\nsorted(os.listdir('..'))").result == "['data', 'notebooks', 'src']"
    assert run("open('own.txt').read(), os.path.basename(os.getcwd())").result == (
        "('own\\n', 'notebooks')"
    )
    assert run("!cat ../data/*.csv").told == "a 1"
    code = "import sys\nsys.path.insert(0, '../src')\nimport helper_of_src\nhelper_of_src.VALUE"
    assert run(code).result == "7"
    assert run("%aca files").text.count("../") == 0


def test_absolute_paths_of_the_users_machine_find_them(notebooks: Path, kernel: Client) -> None:
    data, own = notebooks.parent / "data" / "x.csv", notebooks / "own.txt"
    assert kernel.run(f"open({str(data)!r}).read()").result == "'a\\n1\\n'"
    assert kernel.run(f"import os\nos.path.exists({str(own)!r})").result == "True"
    assert kernel.run(f"!cat {own}").told == "own"


def test_no_decoy_of_the_project_is_found(notebooks: Path, kernel: Client) -> None:
    paths = [*DECOYS, *(str(notebooks / path) for path in DECOYS)]
    code = f"""
import os
got = []
for path in {paths!r}:
    assert not os.path.exists(path), path
    try:
        got.append(open(path).read())
    except OSError as error:
        assert "on your machine" not in str(error), error
    !cat "{{path}}" 2>/dev/null
print(got)
"""
    cell = kernel.run(code)
    assert cell.error is None
    assert cell.told == "[]"


def test_an_error_says_where_a_file_beyond_is_and_what_sends_it(
    notebooks: Path, plain_kernel: Client
) -> None:
    whole = str(notebooks.parent / "data" / "x.csv")
    for path in ("../data/x.csv", whole):
        cell = plain_kernel.run(f"open({path!r})")
        assert cell.error is not None
        assert cell.error["ename"] == "FileNotFoundError"
        assert "../data/x.csv is on your machine, outside of the notebook's" in cell.evalue
        assert "`%aca upload ../data/x.csv` sends it" in cell.evalue
        assert 'files_root = "repository"' in cell.evalue
    # The environment's directory has a name, too.
    (notebooks / "y.csv").write_text("another file")
    assert plain_kernel.run("open('../data/y.csv')").error is not None
    # A path that does not stand in the cell's text: the user is told, and the code is not.
    cell = plain_kernel.run("open('../data' + '/x.csv')")
    assert "on your machine" not in cell.evalue
    # A name that is withheld is not there for anybody.
    for path in ("../.env", "../id_rsa", "../.hidden/x.txt", "../nothing.txt"):
        assert "on your machine" not in plain_kernel.run(f"open({path!r})").evalue
    with running_kernel(arguments=("--AcaKernel.files=hint",)) as kernel:
        assert "%aca upload ../data/x.csv" in kernel.run("open('../data/x.csv')").evalue


def test_a_reader_in_c_gets_the_sentence_beside_its_own_error(plain_kernel: Client) -> None:
    plain_kernel.run(MADE)
    cell = plain_kernel.run("polars.read_csv('../data/x.csv')")
    assert (cell.result, cell.error) == (None, None)
    assert "../data/x.csv is on your machine, outside of the notebook's folder" in cell.said
    assert "on your machine" not in plain_kernel.run("polars.read_csv('../.env')").said
    # An error of C that names the path in its text only.
    cell = plain_kernel.run("raise RuntimeError('IO Error: No files found: \"../data/x.csv\"')")
    assert "`%aca upload ../data/x.csv` sends it" in cell.evalue


def test_an_absolute_path_is_made_to_lead_only_where_nothing_of_it_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    local = LocalPath(str(tmp_path / "home" / "project"), str(root), may_link=True)
    assert not local.is_led(str(tmp_path / "home" / "project2"))
    assert not (tmp_path / "home").exists()
    assert local.is_led(str(tmp_path / "home" / "project" / "x.csv"))
    assert (tmp_path / "home" / "project").resolve() == root
    # What is on this machine already is no other machine's.
    (tmp_path / "here").mkdir()
    assert not LocalPath(str(tmp_path / "here" / "a"), str(root), may_link=True).is_led(
        str(tmp_path / "here" / "a")
    )
    assert not (tmp_path / "here" / "a").exists()
    assert not LocalPath("", str(root)).is_in("/x")


def test_a_sandbox_shows_no_path_over_another() -> None:
    others = ["/home/me/project/.venv", "/opt/python"]
    assert bubblewrap._is_free("/home/me/data", others)
    assert bubblewrap._is_free(f"{bubblewrap.HOME}/data", others)
    taken = (
        "/home/me/project",
        "/home/me",
        "/opt/python/lib",
        "/usr/share/x",
        "/data",
        "/home",
        "",
    )
    for path in (*taken, bubblewrap.HOME, bubblewrap.DATA, "/etc/x", "/home/me/../x"):
        assert not bubblewrap._is_free(path, others), path


def test_a_hint_names_a_path_as_the_notebook_writes_it(notebooks: Path) -> None:
    assert notebooks
    options = ("--AcaKernel.files=hint", "--AcaKernel.files_root=..")
    with running_kernel(arguments=options) as kernel:
        cell = kernel.run("open('../data/x.csv')")
        assert "`%aca upload ../data/x.csv ../data/` sends it" in cell.evalue
        kernel.run("%aca upload ../data/x.csv ../data/")
        assert kernel.run("open('../data/x.csv').read()").result == "'a\\n1\\n'"


def test_what_cells_write_comes_back_to_the_notebooks_folder_only(tmp_path: Path) -> None:
    with inside(make(tmp_path)) as folder:
        options = ("--AcaKernel.files_back=True", "--AcaKernel.files_root=repository")
        with running_kernel(arguments=options) as kernel:
            code = "open('new.txt', 'w').write('1'), open('../data/new.txt', 'w').write('2')"
            assert kernel.run(code).status == "ok"
            kernel.run("open('own.txt').read()")
        assert (folder / "new.txt").read_text() == "1"
        assert not (folder.parent / "data" / "new.txt").exists()


def test_a_root_is_the_notebooks_folder_or_one_above(tmp_path: Path) -> None:
    home = make(tmp_path)
    project = home.parent
    assert find_root("", str(home)).inner == ""
    assert (find_root("repository", str(home)).root, find_root("..", str(home)).inner) == (
        str(project),
        "notebooks",
    )
    (home / "pyproject.toml").touch()
    assert find_root("repository", str(home)).root == str(home)
    for setting in ("/", "../data", str(tmp_path / "nowhere"), "../../project2"):
        found = find_root(setting, str(home))
        assert (found.root, bool(found.problem)) == (str(home), True)
    hidden = project / ".hidden"
    assert find_root("..", str(hidden)).problem
    assert not find_root("", str(hidden)).problem


def test_a_folder_that_git_ignores_keeps_its_own_files(tmp_path: Path) -> None:
    home = make(tmp_path)
    (home.parent / ".gitignore").write_text("notebooks/\n*.log\n")
    (home / "a.log").touch()
    folder = Folder(str(home.parent), "notebooks")
    assert folder.find("notebooks/own.txt") is not None
    assert folder.find("notebooks/a.log") is None


def test_sentences_about_files_beyond(tmp_path: Path) -> None:
    home = make(tmp_path)
    folder = Folder(str(home.parent), "notebooks")
    assert sentence_for(folder, "../data/x.csv") == ""
    assert "../../outside.txt is on your machine" in sentence_for(folder, "../../outside.txt")
    assert 'files_root = "../.."' in sentence_for(folder, str(tmp_path / "outside.txt"))
    for path in ("../../nothing", "../..", "/etc/shadow.key", "../../project2/.env"):
        assert sentence_for(folder, path) == ""
    os.symlink(tmp_path / "project2" / ".env", tmp_path / "innocent.txt")
    (tmp_path / "project2" / ".env").touch()
    assert sentence_for(folder, "../../innocent.txt") == ""
