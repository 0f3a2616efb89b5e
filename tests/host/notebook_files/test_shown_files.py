"""Files that an output refers to are there for the front end, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.remote.notebook_files.shown_files import references

from ...in_turn import Turns, turns
from ...support import Client, running_kernel
from ..conftest import kernel_in
from ..test_transfer import HOSTILE

WRITE = """
import os
from IPython.display import HTML, FileLink, FileLinks, IFrame, Image, Markdown, Video, display
def write(*names):
    for name in names:
        if os.path.dirname(name): os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, 'w') as file: file.write(name)
"""


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


@pytest.fixture
def kernel(bare: Path, shared: Turns) -> Client:
    """A kernel in whose environment are files of other tests: these are named otherwise."""
    return shared.take(WRITE)


def come(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("page.html", "IFrame('page.html?a=1#b', 300, 200)"),
        ("data.csv", "FileLink('data.csv')"),
        ("plots/a plot.png", "Image(url='plots/a%20plot.png')"),
        ("film.mp4", "Video('film.mp4')"),
        ("report.pdf", "Markdown('See [the report](report.pdf \"PDF\") and [more](other.txt)')"),
        ("a.png", "Markdown('![](<./a.png>)')"),
        ("a.svg", "HTML('<object data=a.svg></object>')"),
        ("größe&co.txt", "HTML('<a href=\"größe&amp;co.txt\">x</a>')"),
    ],
)
def test_a_file_that_an_output_names_comes_ahead_of_it(
    bare: Path, kernel: Client, name: str, output: str
) -> None:
    # The decoys: written by the same cell, and named in no output, or only in a text.
    code = f"write({name!r}, 'decoy.csv', 'named.txt')\nprint('named.txt')\n"
    msg_id = kernel.send(code + f"display({output})\nwhile not os.path.exists('go'): pass")
    message = {"msg_type": ""}
    while message["msg_type"] != "display_data":
        message = kernel.client.get_iopub_msg(timeout=60)
    assert come(bare) == [name]
    assert (bare / name).read_text() == name
    kernel.interrupt()
    kernel.collect(msg_id)


def test_what_the_cell_changes_afterwards_comes_at_its_end(bare: Path, kernel: Client) -> None:
    kernel.run("display(HTML('<a href=late.csv>x</a> <img src=later.html>'))\nwrite('late.csv')")
    kernel.run("display(HTML('<img src=later.html>'))\nwrite('later.html')")
    assert come(bare) == ["late.csv", "later.html"]
    # A later cell that shows nothing changes nothing here.
    kernel.run("open('late.csv', 'w').write('changed');")
    assert (bare / "late.csv").read_text() == "late.csv"
    cell = kernel.run("FileLink('late.csv')")
    assert cell.said == ""
    assert (bare / "late.csv").read_text() == "changed"


def test_decoys_do_not_come(bare: Path, kernel: Client) -> None:
    outside = bare.parent / "outside.txt"
    (bare / "mine.csv").write_text("mine")
    names = [
        "run.py", "Makefile", ".env", "sub/.hidden.txt", "id_rsa.txt", "requirements.txt",
        "requirements-dev.txt", "dev_requirements.txt", "tsconfig.build.json", "GEMINI.md",
        "deno.json",
        "a.ipynb", "conftest.py", "page.js", "credentials.json", "lib.so", "package.json", "x.pth",
    ]  # fmt: skip
    kernel.run(f"write(*{names!r})\nopen('../outside.txt', 'w').close()")
    kernel.run("os.symlink('/etc/hostname', 'link.txt'); os.mkdir('folder.txt')")
    kernel.run("os.unlink('mine.csv') if os.path.lexists('mine.csv') else None; write('mine.csv')")
    links = [*names, "../outside.txt", "/etc/hostname", "link.txt", "folder.txt", "mine.csv"]
    links += ["https://example.org/run.py", "file:///etc/hostname", "missing.txt", "C:\\x.txt"]
    text = "".join(f'<a href="{one}">x</a>' for one in links)
    cell = kernel.run(f"HTML({text!r})")
    assert cell.status == "ok"
    assert come(bare) == ["mine.csv"]
    assert (bare / "mine.csv").read_text() == "mine"
    assert not outside.exists()
    told = cell.stream("stderr").replace("\n", " ")
    assert "An output refers to run.py" in told
    assert "`%aca download run.py` brings it" in told
    assert "mine.csv does not come back" in told
    # Each is told once.
    assert kernel.run(f"HTML({text!r})").stream("stderr") == ""


def test_calls_by_other_code_get_no_further(bare: Path, kernel: Client) -> None:
    tries = [
        "path='a.py', size=1, is_shown=True",
        "path='../a.txt', size=1, is_shown=True",
        "path='a.txt', size=1",
        "path='a.txt', size=10**12, is_shown=True",
    ]
    code = "".join(f"print(attempt('back', {one}))\n" for one in tries)
    assert kernel.run(HOSTILE + code).text.count("refused: ") == len(tries)
    assert os.listdir() == []


def test_nothing_comes_by_itself_without_the_setting(bare: Path, kernel: Client) -> None:
    kernel.run("write('new.txt')")
    code = "print(attempt('back', path='new.txt', size=1))"
    assert "`files_back` does not let files come back" in kernel.run(HOSTILE + code).text
    assert os.listdir() == []


def test_files_off_lets_nothing_come(folder: Path) -> None:
    with running_kernel(arguments=("--AcaKernel.files=off",)) as kernel:
        kernel.run(WRITE)
        assert kernel.run("write('a.csv')\nFileLink('a.csv')").said == ""
        code = "print(attempt('back', path='a.csv', size=1, is_shown=True))"
        assert "refused: " in kernel.run(HOSTILE + code).text
    assert os.listdir() == []


def test_files_that_come_by_the_setting_come_ahead_of_an_output_too(folder: Path) -> None:
    with running_kernel(arguments=("--AcaKernel.files_back=True",)) as kernel:
        kernel.run(WRITE)
        kernel.run("write('a.html', 'run.py')\nIFrame('a.html', 1, 1)")
        assert come(folder) == ["a.html", "run.py"]


def test_what_is_no_path_is_no_reference() -> None:
    texts = [
        "<a href='#part'>", "<a href=''>", "<img src='data:image/png;base64,AA'>", "<a href=//x/y>",
        "<a href='../x'>", "<a href='a/../../x'>", "<a href='.'>", "<a href='%00'>",
        "<a href='" + "x" * 2000 + "'>", "<a href='\\\\server\\x'>", "x" * 1_000_001,
    ]  # fmt: skip
    for text in texts:
        assert list(references({"text/html": text, "text/markdown": 5})) == []
    assert list(references({"text/markdown": "[a]: b.txt\n![c](d.png) <img src=e.png>"})) != []
