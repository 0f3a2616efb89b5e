"""Which notebooks a command line names, and where their outputs go."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from aca_kernel.batch import finding
from aca_kernel.batch.finding import Job, find_jobs, make_folders
from aca_kernel.errors import SettingInvalid


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")


def outputs(jobs: list[Job]) -> list[str]:
    return [os.path.relpath(job.output) for job in jobs]


def test_a_folder_is_searched_with_its_subfolders_but_not_the_hidden_ones() -> None:
    touch("b/x.ipynb", "a/x.ipynb", "z.ipynb", "notes.txt", ".z.ipynb")
    touch(".ipynb_checkpoints/z-checkpoint.ipynb", "a/.venv/y.ipynb")
    assert [job.name for job in find_jobs(["."], None)] == ["z.ipynb", "a/x.ipynb", "b/x.ipynb"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("a/x.ipynb", "b/x.ipynb")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SettingInvalid, match="b cannot be searched for notebooks: Perm"):
        find_jobs(["."], None)


def test_notebooks_of_one_name_in_two_folders_have_two_outputs() -> None:
    touch("a/x.ipynb", "b/x.ipynb")
    both = find_jobs(["a/x.ipynb", "b/x.ipynb"], "out")
    assert outputs(both) == ["out/a/x.ipynb", "out/b/x.ipynb"]
    # Nor do they meet if they are run one after the other.
    assert outputs(find_jobs(["b"], "out")) == ["out/b/x.ipynb"]


def test_notebooks_elsewhere_keep_the_tree_below_what_holds_them_all(tmp_path: Path) -> None:
    touch("x.ipynb", "../there/a/x.ipynb", "../there/b/x.ipynb")
    there = str(tmp_path / "there")
    assert outputs(find_jobs([there], "out")) == ["out/a/x.ipynb", "out/b/x.ipynb"]
    assert outputs(find_jobs(["x.ipynb", "../there/a/x.ipynb"], "out")) == [
        "out/here/x.ipynb",
        "out/there/a/x.ipynb",
    ]


def test_the_outputs_of_an_earlier_run_are_not_run() -> None:
    touch("x.ipynb", "out/x.ipynb", "outside/x.ipynb")
    assert [job.name for job in find_jobs(["."], "out")] == ["x.ipynb", "outside/x.ipynb"]
    assert [job.name for job in find_jobs(["**/*.ipynb"], "out")] == ["outside/x.ipynb", "x.ipynb"]


def test_a_notebook_that_is_named_twice_runs_once() -> None:
    touch("a/x.ipynb")
    os.symlink("x.ipynb", "a/link.ipynb")
    (job,) = find_jobs(["a", "a/x.ipynb", "a/*.ipynb", "a/link.ipynb"], None)
    # And is told by both names.
    assert (job.name, job.other_names) == ("a/link.ipynb", ("a/x.ipynb",))


def test_a_file_whose_name_looks_like_a_pattern_is_itself() -> None:
    touch("[1].ipynb", "1.ipynb")
    assert [job.name for job in find_jobs(["[1].ipynb"], None)] == ["[1].ipynb"]


@pytest.mark.parametrize(
    ("words", "output_dir", "says"),
    [
        (["no.ipynb"], None, "There is no notebook no.ipynb: check the path."),
        (["empty"], None, "There is no notebook in the folder 'empty'."),
        (["no*.ipynb"], None, "No notebook matches no*.ipynb"),
        (["notes.txt"], None, "notes.txt is no notebook"),
        (["x.ipynb"], ".", "would overwrite a notebook"),
        (["."], ".", "would overwrite a notebook"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(
    words: list[str], output_dir: str | None, says: str
) -> None:
    touch("x.ipynb", "notes.txt")
    os.mkdir("empty")
    with pytest.raises(SettingInvalid) as refused:
        find_jobs(words, output_dir)
    assert says in refused.value.message
    assert "\n" not in refused.value.message


def test_an_output_folder_that_cannot_be_made_is_refused_before_anything_runs() -> None:
    touch("x.ipynb", "file")
    with pytest.raises(SettingInvalid, match="Outputs cannot be written to the folder"):
        make_folders(find_jobs(["x.ipynb"], "file/out"))
    os.makedirs("out/x.ipynb")
    with pytest.raises(SettingInvalid, match="cannot be written: there is a folder"):
        make_folders(find_jobs(["x.ipynb"], "out"))


def test_notebooks_on_another_drive_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntpath, "isfile", lambda _: True)
    windows = SimpleNamespace(path=ntpath, sep="\\", getcwd=lambda: "C:\\work")
    monkeypatch.setattr(finding, "os", windows)
    (job,) = find_jobs(["D:\\books\\a.ipynb"], "C:\\work\\out")
    assert (job.output, job.name) == ("C:\\work\\out\\a.ipynb", "D:\\books\\a.ipynb")
    # The drive's and folders' names know no case.
    (job,) = find_jobs(["c:\\Work\\b\\a.ipynb"], "C:\\work\\out")
    assert (job.output, job.name) == ("C:\\work\\out\\b\\a.ipynb", "b\\a.ipynb")
    with pytest.raises(SettingInvalid, match="lie on several drives"):
        find_jobs(["D:\\a.ipynb", "C:\\work\\a.ipynb"], "C:\\work\\out")
