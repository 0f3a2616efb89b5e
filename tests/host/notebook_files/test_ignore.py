"""`.gitignore` is read as git reads it: our answer is that of `git check-ignore`."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from aca_kernel.host.notebook_files import ignore as ignore_module
from aca_kernel.host.notebook_files.ignore import Ignore

from ...support import AT_ONCE

PATTERNS = [
    "*.csv", "/a", "a/", "b/*", "!b/x.csv", "**/c", "c/**", "a/**/d", "\\#x", "!a", "d?", "[a-c]",
    "[!a]x", "*.c[sx]v", "/b/a", "x.csv", "a/b", "!*.csv", "*", "!*/", "\\!x", "foo\\ ", "a  ",
    "[[:digit:]]", "a**b", "**", "x/", "/", "//", "!x.csv", "a//b", "[]a]", "[a-", "b/**/x.csv",
    "[^a].csv", "[z-a]", "*/a", "# a", "", "a\\", "[a\\]]", "[-a]", "[a-]", "a\t", "[[:alpha:]]",
    "[[:foo:]]", "[[:digit:]-z]", "[\\a-c]", "[a/b]", "[!/]", "\\", "!", "foo\\  ", "**/b/**",
    "/**", "*a*b*", "*.*.*v", "a*?b", "**/a/**/d", "b/**/*a*/x*", "*[ab]*[!a]", "a/*/*c*v",
    "*a*\\*",
    "**/**/a", "a/**/**", "**/[a-c]/**/x*.*v", "*\\/*",
]  # fmt: skip
NAMES = ["a", "b", "c", "d", "x.csv", "a.csv", "dx", "ax", "#x", "!x", "7", "ab", "foo ", "-"]


def what_git_ignores(root: Path, paths: list[str]) -> set[str]:
    done = subprocess.run(
        ["git", "-C", root, "check-ignore", "--stdin", "-z", "--no-index"],
        input="\0".join(paths),
        check=False,  # 1: it ignores none
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split("\0")) - {""}


@pytest.mark.parametrize("seed", range(40))
def test_as_git_does(tmp_path: Path, seed: int) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    chosen = random.Random(seed)
    paths = []
    for _ in range(40):
        path = "/".join(chosen.choices(NAMES, k=chosen.randint(1, 3)))
        whole = tmp_path / path
        try:
            whole.parent.mkdir(parents=True, exist_ok=True)
            if chosen.random() < 0.3:
                whole.mkdir(exist_ok=True)
            elif not whole.exists():
                whole.write_text("")
        except OSError:  # a file where a folder would have to be
            continue
        paths.append(path)
    for folder in ("", "a", "b"):
        if (tmp_path / folder).is_dir():
            patterns = chosen.sample(PATTERNS, chosen.randint(1, 4))
            (tmp_path / folder / ".gitignore").write_text("\n".join(patterns) + "\n")
    ignore = Ignore(str(tmp_path))
    for one in (ignore, ignore.for_many()):
        ignored = {
            path
            for path in paths
            if one.excludes(path.split("/"), is_folder=(tmp_path / path).is_dir())
        }
        assert ignored == what_git_ignores(tmp_path, paths)


@pytest.mark.parametrize("ignorecase", ["false", "true"])
def test_each_pattern_alone_as_git_does(ignorecase: str, tmp_path: Path) -> None:
    """With `core.ignorecase`, which git has on Windows and macOS, and without."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "config", "core.ignorecase", ignorecase], check=True)
    for folder in ("a/b", "b", "x", "a"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in (*NAMES, "A", "B", "X.CSV", "]", "\\", "a\\", "a\t", "É", "é"):
            if not (tmp_path / folder / name).exists():
                (tmp_path / folder / name).write_text("")
    found = [path for path in tmp_path.rglob("*") if ".git" not in path.parts]
    paths = {str(path.relative_to(tmp_path)): path.is_dir() for path in found}
    ignore = Ignore(str(tmp_path))
    for pattern in [*PATTERNS, *(one.upper() for one in PATTERNS), "é", "[B-D]", "[!B-D]x"]:
        (tmp_path / ".gitignore").write_text(pattern + "\n", encoding="utf-8")
        ignored = {
            path
            for path, is_folder in paths.items()
            if ignore.excludes(path.split("/"), is_folder=is_folder)
        }
        assert ignored == what_git_ignores(tmp_path, [*paths]), pattern


def test_patterns_above_the_folder_count_up_to_the_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    folder = tmp_path / "repository" / "notebooks"
    folder.mkdir()
    (tmp_path / ".gitignore").write_text("beyond.csv\n")
    (tmp_path / "repository" / ".gitignore").write_text("/notebooks/large/\n*.log\n/here.csv\n")
    ignore = Ignore(str(folder))
    assert ignore.excludes(["large"], is_folder=True)
    assert ignore.excludes(["large", "deep", "x"], is_folder=False)
    assert ignore.excludes(["a.log"], is_folder=False)
    assert not ignore.excludes(["here.csv"], is_folder=False)
    assert not ignore.excludes(["beyond.csv"], is_folder=False)


def test_a_pattern_about_the_notebooks_folder_itself_does_not_count(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = tmp_path / "scratch" / "notebooks"
    folder.mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("scratch/\nnotebooks/\n*.log\n")
    ignore = Ignore(str(folder))
    assert not ignore.excludes(["data.csv"], is_folder=False)
    assert ignore.excludes(["a.log"], is_folder=False)
    # A folder of that name in it is another one.
    assert ignore.excludes(["notebooks", "data.csv"], is_folder=False)


def test_acaignore_counts_more(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("data/\n*.csv\n")
    (tmp_path / ".acaignore").write_text("!data/\nother.txt\n")
    ignore = Ignore(str(tmp_path))
    assert not ignore.excludes(["data", "x.bin"], is_folder=False)
    assert ignore.excludes(["data", "x.csv"], is_folder=False)
    assert ignore.excludes(["other.txt"], is_folder=False)


@pytest.mark.parametrize(
    ("patterns", "path", "lines"),
    [
        ("data/", "data/x.csv", ["!data/"]),
        ("data", "data/x.csv", ["!data/"]),
        ("data/*", "data/x.csv", ["!data/x.csv"]),
        ("*.csv", "x.csv", ["!x.csv"]),
        ("data/\n*.csv", "data/x.csv", ["!data/", "!data/x.csv"]),
        ("*.csv", "q[1].csv", ["!q\\[1\\].csv"]),
        ("*", "#a *?", ["!#a \\*\\?"]),
        ("*", "!a\\ ", ["!!a\\\\\\ "]),
        ("/a/b/", "a/b/c/d.csv", ["!a/b/"]),
    ],
)
def test_the_lines_that_let_a_file_through_do(
    tmp_path: Path, patterns: str, path: str, lines: list[str]
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("mine")
    (tmp_path / ".gitignore").write_text(patterns + "\n")
    ignore = Ignore(str(tmp_path))
    assert ignore.excludes(path.split("/"), is_folder=False)
    assert ignore.lines_for([path.split("/")]) == lines
    (tmp_path / ".acaignore").write_text("\n".join(lines))
    assert not ignore.excludes(path.split("/"), is_folder=False)
    # And git agrees.
    (tmp_path / ".gitignore").write_text("\n".join([patterns, *lines]) + "\n")
    assert what_git_ignores(tmp_path, [path]) == set()


def test_no_line_helps_against_patterns_of_a_deeper_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").write_text("*.csv\n")
    (tmp_path / "sub" / "x.csv").write_text("mine")
    assert Ignore(str(tmp_path)).lines_for([["sub", "x.csv"]]) == []


def test_a_change_of_the_patterns_counts_at_once(tmp_path: Path) -> None:
    ignore = Ignore(str(tmp_path))
    for question in (lambda: ignore, ignore.for_many):
        assert not question().excludes(["a"], is_folder=False)
        (tmp_path / ".gitignore").write_text("a\n")
        assert question().excludes(["a"], is_folder=False)
        (tmp_path / ".gitignore").unlink()
        assert not question().excludes(["a"], is_folder=False)


def test_a_question_about_many_looks_at_each_file_of_patterns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    stamp = ignore_module._stamp

    def counted(path: str) -> tuple[int, int] | None:
        looks.append(path)
        return stamp(path)

    monkeypatch.setattr(ignore_module, "_stamp", counted)
    (tmp_path / "a").mkdir()
    many = Ignore(str(tmp_path)).for_many()
    for number in range(100):
        assert not many.excludes(["a", str(number)], is_folder=False)
    # The folder's, for a path in it and for one in `a`, and those in `a`.
    assert len(looks) == 6


def test_patterns_that_cannot_be_read_exclude_everything(tmp_path: Path) -> None:
    os.symlink("loop", tmp_path / "loop")
    os.symlink("loop", tmp_path / ".gitignore")
    assert Ignore(str(tmp_path)).excludes(["a"], is_folder=False)


@pytest.mark.parametrize(
    ("config", "is_excluded"),
    [
        ("[core]\n\tignorecase = true\n", True),
        ("[core] IgnoreCase\n", True),
        ('[CORE]\nignorecase = "yes" ; on Windows\n', True),
        ("[core]\n\tignorecase = false\n", False),
        ('[core]\n[remote "x"]\n\tignorecase = true\n', False),
        ("[core]\n\tbare = false\n", False),
    ],
)
def test_a_repository_says_whether_case_counts(
    config: str, is_excluded: bool, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(config)
    (tmp_path / ".gitignore").write_text("Secret.csv\n")
    assert Ignore(str(tmp_path)).excludes(["SECRET.CSV"], is_folder=False) is is_excluded


def test_without_a_repository_the_file_system_says_so(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("Secret.csv\n")
    assert not Ignore(str(tmp_path)).excludes(["secret.csv"], is_folder=False)
    # One file under both names, as where case does not count.
    (tmp_path / ".GITIGNORE").hardlink_to(tmp_path / ".gitignore")
    assert Ignore(str(tmp_path)).excludes(["secret.csv"], is_folder=False)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 40 + "z", "a" * 200),
        ("*[ab]" * 40 + "z", "ab" * 100),
        ("x/" + "*a*b" * 20 + "/z", "x/" + "ab" * 100 + "/a"),
        ("**/a/" * 20 + "z", "a/" * 60 + "b"),
        ("**/*a*a/" * 20 + "**", "aa/" * 60 + "b"),
        ("*" * 2000 + "z", "a" * 200),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    (rule,) = ignore_module.parse(pattern)
    started = time.monotonic()
    rule.expression.fullmatch(path)
    assert time.monotonic() - started < AT_ONCE
