"""What code may ask of files, with arguments of every kind: the same as without files beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ..conftest import kernel_in

# Addresses, and colours: IPython marks calls of C otherwise than those of Python.
_VARIABLE = re.compile(r"0x[0-9a-f]+|\x1b\[[0-9;]*m")

BEGIN = """\
import ctypes, glob, io, os, pathlib, pkgutil, shutil, sqlite3, subprocess, sys, tempfile, zipfile
from pathlib import Path
for path in ("one.txt", "sub/two.txt"):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(path)
class Odd:
    def __init__(self, path): self.path = path
    def __fspath__(self): return self.path
class Refusing:
    def __fspath__(self): raise ValueError("in the notebook's own frame")
class Unspeakable(ValueError):
    def __str__(self): raise KeyError("in the middle of being shown")
folder = os.open(".", os.O_RDONLY)"""

CALLS = """\
[one.find_spec(fullname="no_module", path=None, target=None) for one in sys.meta_path if one] and 1
sqlite3.connect(":memory:").execute("select 1").fetchall()
sqlite3.connect("").execute("select 1").fetchall()
sqlite3.connect(b"new.db").close()
sqlite3.connect(Path("new.db")).close()
sqlite3.connect("file::memory:?cache=shared", uri=True).close()
sqlite3.connect("file:new.db?mode=ro", uri=True).close()
sqlite3.connect("file:none.db?mode=ro", uri=True)
sqlite3.connect(database=None)
sqlite3.connect(3)
open(os.open("one.txt", os.O_RDONLY)).read()
open(b"one.txt").read()
open(Odd("one.txt")).read()
open(Odd(b"one.txt")).read()
open(Odd(3))
open(Refusing())
os.stat(Refusing())
raise Unspeakable
open("")
open(b"")
open(".")
open("sub/")
open("one.txt/")
open("none/../one.txt").read()
open("one\\0.txt")
open("one\\udcff.txt")
open(b"\\xff.txt")
open("x" * 300)
open("a/" * 3000)
open(None)
open(1.5)
open("/dev/null").read()
open("/none/such")
io.open_code(os.path.abspath("one.txt")).read()
os.open("one.txt", os.O_RDONLY, dir_fd=folder) > 0
os.open("none.txt", os.O_RDONLY, dir_fd=folder)
os.stat(folder).st_size >= 0
os.stat(0).st_size >= 0
os.stat(b"one.txt").st_size
os.stat("one.txt", dir_fd=folder).st_size
os.stat("none.txt", dir_fd=folder)
os.stat("one.txt", follow_symlinks=False).st_size
os.stat(path="one.txt").st_size
os.stat("")
os.stat(None)
os.stat("one\\0")
os.lstat(b"none")
os.lstat("one.txt", dir_fd=folder).st_size
os.access(b"one.txt", os.R_OK)
os.access("none.txt", os.F_OK)
os.access("one.txt", os.R_OK, dir_fd=folder)
os.access(folder, os.R_OK)
os.access("", os.R_OK)
sorted(os.listdir(b"sub"))
sorted(os.listdir(folder))
sorted(os.listdir(None))
sorted(os.listdir("/none"))
os.listdir("one.txt")
sorted(entry.name for entry in os.scandir(b"sub"))
sorted(entry.name for entry in os.scandir(folder))
sorted(entry.name for entry in os.scandir(Path("sub")))
os.scandir("none")
next(os.scandir("sub")).is_file()
[sorted(names) for _, _, names in os.walk(b"sub")]
[sorted(names) for _, _, names in os.walk("none")]
[sorted(names) for _, _, names, _ in os.fwalk("sub")]
sorted(glob.glob(b"*.txt"))
sorted(glob.glob("*.txt", root_dir="sub"))
sorted(glob.glob("**", recursive=True, root_dir="sub"))
sorted(map(str, Path("sub").iterdir()))
sorted(map(str, Path().glob("**/*.txt")))
Path("none").exists(), Path("one.txt").is_symlink(), Path("sub").is_dir()
Path("none").stat()
Path("").resolve() == Path.cwd()
os.path.samefile("one.txt", "./one.txt")
os.path.exists(0), os.path.exists("one\\0"), os.path.exists(b"one.txt")
os.mkdir(b"made"); os.rmdir("made")
os.makedirs("a/b/c"); shutil.rmtree("a")
os.makedirs("a/b"); shutil.rmtree(b"a")
os.mkdir("made", dir_fd=folder); os.rmdir("made", dir_fd=folder)
os.rename("one.txt", b"1.txt"); os.rename(b"1.txt", Path("one.txt"))
os.replace("none", "two")
os.remove("none")
os.remove(b"none")
os.unlink("none", dir_fd=folder)
os.rmdir("sub")
os.link("one.txt", "hard"); os.unlink("hard")
os.symlink("one.txt", "soft"); os.readlink("soft"); os.unlink("soft")
os.symlink("nowhere", "soft"); open("soft")
os.unlink("soft"); os.path.lexists("soft")
os.truncate("one.txt", 3); os.truncate(os.open("one.txt", os.O_RDWR), 2)
os.chmod(folder, 0o755); os.chmod(b"one.txt", 0o644); os.chmod("none", 0)
os.utime(folder); os.utime("one.txt", (1, 2)); os.utime("none")
os.chdir(folder); os.chdir(b"sub"); os.chdir(".."); os.path.basename(os.getcwd()) != "sub"
os.chdir("none")
ctypes.CDLL(None) is not None
ctypes.CDLL("none.so")
shutil.copytree("sub", "copied"); shutil.move("copied", "moved"); shutil.rmtree("moved")
shutil.copytree("sub", "copied", symlinks=True); shutil.rmtree("copied", ignore_errors=True)
shutil.rmtree("none", ignore_errors=True)
shutil.which("none"), shutil.disk_usage(".").total > 0
shutil.make_archive("archive", "zip", "sub").endswith("archive.zip")
zipfile.ZipFile("archive.zip").namelist()
zipfile.is_zipfile("none"), zipfile.is_zipfile(io.BytesIO())
tempfile.TemporaryFile(dir=".").write(b"x")
tempfile.NamedTemporaryFile(dir=b".").write(b"x")
len(tempfile.mkdtemp(dir=".")) > 0
subprocess.run(["cat", b"one.txt"], capture_output=True).returncode
subprocess.run(["cat", Path("one.txt")], capture_output=True).returncode
subprocess.run("cat none.txt 'open", shell=True, capture_output=True).returncode
subprocess.run(("true",), cwd=b"sub").returncode
subprocess.run(["none-such"])
subprocess.run(["true", ""]).returncode
os.system(b"true")
os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1])
sorted(one.name for one in pkgutil.iter_modules(["sub"]))
__import__("none_such_module")
__import__("sub").__path__ is not None
__import__("sub.none_such")
sys.modules.pop("sub") is not None"""


def found_by(folder: Path, files: str) -> list[list[Any]]:
    """Run all calls in a new kernel with this setting, and return what each shows."""
    all_found = []
    with kernel_in(folder, f"--AcaKernel.files={files}") as kernel:
        assert kernel.run(BEGIN).status == "ok"
        for code in CALLS.splitlines():
            cell = kernel.run(code)
            error = cell.error or {}
            found = [
                code,
                cell.result,
                error.get("ename"),
                error.get("evalue"),
                cell.text,
                cell.said,
            ]
            found.append(_VARIABLE.sub("", "".join(error.get("traceback", []))))
            all_found.append(found)
    return all_found


@pytest.fixture(scope="module")
def found_plain(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What calls show where files are nothing to us."""
    return found_by(tmp_path_factory.mktemp("plain"), "off")


@pytest.mark.parametrize("files", ["on-demand", "hint"])
def test_calls_do_what_they_do_elsewhere(
    tmp_path: Path, found_plain: list[list[Any]], files: str
) -> None:
    for ours, plain in zip(found_by(tmp_path, files), found_plain, strict=True):
        assert ours == plain
