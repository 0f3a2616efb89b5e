"""Files that cells have written come to the notebook's folder; none of the user's is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aca_kernel.host.notebook_files.returned_files import ReturnedFiles

from ...in_turn import Turns, turns
from ...support import Client, Pool, eventually, running_kernel, running_pool
from ..conftest import empty, inside, kernel_in
from ..test_transfer import HOSTILE
from .test_reading import PYTHON

BACK = ("--AcaKernel.files_back=True",)


@contextmanager
def bringing_kernel() -> Iterator[Client]:
    with running_kernel(arguments=BACK) as client:
        yield client


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, *BACK)) as one:
        yield one


@pytest.fixture
def kernel(corner: Path, shared: Turns) -> Client:
    """A kernel in a corner of the notebook's folder."""
    return shared.take(f"%cd -q {corner.name}")


@pytest.fixture(scope="module")
def bare_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bare") / "notebooks"
    path.mkdir()
    return path


@pytest.fixture
def bare_folder(bare_place: Path) -> Iterator[Path]:
    """The folder of `speaking`, in which there is nothing."""
    empty(bare_place)
    with inside(bare_place):
        yield bare_place


@pytest.fixture(scope="module")
def speaking(bare_place: Path) -> Iterator[Turns]:
    """A kernel for what speaks the protocol, and has no files in the environment."""
    with turns(lambda: kernel_in(bare_place, *BACK)) as one:
        yield one


@pytest.fixture(scope="module")
def far_pool() -> Iterator[Pool]:
    with running_pool(isolation="process") as pool:
        yield pool


@pytest.fixture(scope="module")
def far(place: Path, far_pool: Pool) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, *BACK, env=far_pool.env)) as one:
        yield one


@contextmanager
def coming(pool: Pool, kernel: Client, size: int, delay_seconds: float = 0.2) -> Iterator[str]:
    """Have a cell write large.bin, which comes back slowly, in the middle of that.

    Yields the id of the cell's request.
    """
    pool.fault(kind="delay", seconds=delay_seconds, every=1, tool=PYTHON)
    try:
        msg_id = kernel.send(f"with open('large.bin', 'wb') as file: file.truncate({size})")
        kernel.wait_for_stream(msg_id, "large.bin: ")
        yield msg_id
    finally:
        pool.clear_faults()


def write(name: str, text: str) -> str:
    return f"with open({name!r}, 'w') as file: file.write({text!r})"


def test_what_is_written_is_there_when_the_cell_is_done(corner: Path, kernel: Client) -> None:
    assert kernel.run(write("new.txt", "one")).said == ""
    assert (corner / "new.txt").read_text() == "one"
    kernel.run(write("new.txt", "two"))
    assert (corner / "new.txt").read_text() == "two"
    code = "import os\nos.makedirs('a/b')\nopen('a/b/data.bin', 'wb').write(bytes(9_000_000));"
    assert kernel.run(code).status == "ok"
    assert (corner / "a" / "b" / "data.bin").read_bytes() == bytes(9_000_000)
    # Also when the cell fails.
    kernel.run(write("failed.txt", "x") + "\n1 / 0")
    assert (corner / "failed.txt").read_text() == "x"
    kernel.run("!echo by the shell > shell.txt")
    assert (corner / "shell.txt").read_text() == "by the shell\n"
    assert sorted(os.listdir()) == ["a", "failed.txt", "new.txt", "shell.txt"]


def test_a_file_of_the_users_is_never_overwritten(place: Path, shared: Turns) -> None:
    (place / "own.txt").write_text("mine")
    (place / "read.txt").write_text("mine")
    kernel = shared.take("")
    cell = kernel.run(write("own.txt", "theirs"))
    assert cell.said == (
        "own.txt does not come back: the one beside the notebook is your own, or has changed "
        "since it came. `%aca download --force own.txt` replaces it."
    )
    # Told once.
    assert kernel.run(write("own.txt", "theirs again")).said == ""
    cell = kernel.run("open('read.txt').read()\n" + write("read.txt", "theirs"))
    assert cell.said.startswith("read.txt does not come back: ")
    kernel.run(write("new.txt", "one"))
    (place / "new.txt").write_text("edited")
    cell = kernel.run(write("new.txt", "two"))
    assert cell.said.startswith("new.txt does not come back: ")
    assert [(place / name).read_text() for name in ("own.txt", "read.txt", "new.txt")] == [
        *("mine", "mine", "edited")
    ]
    assert kernel.run("%aca download --force own.txt").status == "ok"
    assert (place / "own.txt").read_text() == "theirs again"


def test_a_line_that_is_told_works_where_the_notebook_is(place: Path, shared: Turns) -> None:
    """The working directory may be another one than the notebook's folder."""
    (place / "sub").mkdir()
    (place / "sub" / "own.txt").write_text("mine")
    kernel = shared.take("import os; os.makedirs('sub', exist_ok=True); os.chdir('sub')")
    cell = kernel.run(write("own.txt", "theirs"))
    line = "%aca download --force ../sub/own.txt sub/"
    assert cell.said.endswith(f"`{line}` replaces it.")
    assert kernel.run(line).status == "ok"
    assert (place / "sub" / "own.txt").read_text() == "theirs"
    assert "`%aca download ../PATH` brings one" in kernel.run("%aca files").text


def test_the_notebook_that_is_run_again_replaces_what_it_has_written(folder: Path) -> None:
    with bringing_kernel() as kernel:
        kernel.run(write("result.txt", "first"))
        kernel.run(write("edited.txt", "first"))
    (folder / "edited.txt").write_text("mine")
    with bringing_kernel() as kernel:
        assert kernel.run(write("result.txt", "second")).said == ""
        assert "edited.txt does not come back" in kernel.run(write("edited.txt", "x")).said
    assert (folder / "result.txt").read_text() == "second"
    assert (folder / "edited.txt").read_text() == "mine"


def test_what_is_in_the_place_of_a_file_is_told_as_what_it_is(folder: Path) -> None:
    (folder / "name").mkdir()
    (folder / "sub").mkdir()
    (folder / "own").write_text("mine")
    os.symlink("../own", folder / "sub" / "link")
    os.symlink("name", folder / "to_folder")
    code = "import os; os.mkdir('sub')\n" + "\n".join(
        write(name, "theirs") for name in ("name", "sub/link", "to_folder")
    )
    with running_kernel(arguments=(*BACK, "--AcaKernel.files=off")) as kernel:
        said = kernel.run(code).said
        other = "NAME` brings it under another name."
        beside = "there is a folder of that name beside the notebook."
        name, to_folder = (
            f"{name} does not come back: {beside} `%aca download {name} {other}"
            for name in ("name", "to_folder")
        )
        link = "sub/link does not come back: the one beside the notebook is a link."
        force = "`%aca download --force sub/link sub/` replaces the link by the file."
        assert said.startswith(f"{name} {link}")
        assert said.endswith(f"{force} {to_folder}")
        code = "%aca download --force sub/link sub/\n%aca download name other"
        assert kernel.run(code).status == "ok"
    assert (folder / "own").read_text() == "mine"
    assert not os.path.islink("sub/link")
    assert (folder / "sub" / "link").read_text() == (folder / "other").read_text() == "theirs"


def test_what_can_be_run_can_be_run_when_it_has_come(corner: Path, kernel: Client) -> None:
    code = """
import os
for name, size in (('small', 5), ('large', 2_000_000), ('plain', 5)):
    open(name, 'wb').write(bytes(size))
os.chmod('small', 0o755)
os.chmod('large', 0o700)
"""
    kernel.run(code)
    assert [os.access(name, os.X_OK) for name in ("small", "large", "plain")] == [True, True, False]


def test_the_list_of_what_has_come_grows_by_a_line_for_each_file(folder: Path) -> None:
    (folder / "x").write_text("one")
    status = os.stat("x")
    written = ReturnedFiles(str(folder))
    written.note("x", status)
    kept = Path(written._path)
    size, inode = kept.stat().st_size, kept.stat().st_ino
    for number in range(1000):
        written.note(f"{number:03}", status)
    # To write all of them again for each would take a time that is quadratic in their number.
    assert (kept.stat().st_size < 1001 * (size + 10), kept.stat().st_ino) == (True, inode)
    with open(kept, "a") as file:
        file.write('["cut o')
    again = ReturnedFiles(str(folder))
    again.note("y", status)
    (folder / "x").write_text("three")
    for _ in range(3000):
        again.note("x", os.stat("x"))
    third, fourth = ReturnedFiles(str(folder)), ReturnedFiles(str(folder))
    assert kept.stat().st_size < 1010 * (size + 10)
    for one in (third, fourth):
        assert one.is_unchanged("y", status)
        assert one.is_unchanged("999", status)
        assert one.is_unchanged("x", os.stat("x"))
        assert not one.is_unchanged("x", status)


def test_neither_links_nor_hidden_files_nor_keys_come_back(corner: Path, kernel: Client) -> None:
    code = """
import os
os.mkdir('.hidden')
os.symlink('/etc/passwd', 'link.txt')
os.symlink('/etc', 'etc')
os.mkfifo('pipe')
for name in ('.env', '.hidden/x', 'id_rsa', 'a.pem', 'secrets.txt', 'seen.txt'):
    with open(name, 'w') as file: file.write('x')
"""
    cell = kernel.run(code)
    assert cell.error is None
    assert f"A file does not come back under the name '{corner.name}/id_rsa'." in cell.said
    assert os.listdir() == ["seen.txt"]


def test_who_speaks_the_protocol_writes_nowhere_else(bare_folder: Path, speaking: Turns) -> None:
    (bare_folder / "own.txt").write_text("mine")
    outside = bare_folder.parent / "outside"
    outside.mkdir()
    os.symlink(outside, bare_folder / "linked")
    os.symlink(outside / "new.txt", bare_folder / "dangling.txt")
    paths = [
        *(
            "../x.txt",
            "/tmp/aca-x.txt",
            "a/../../x.txt",
            "linked/x.txt",
            "dangling.txt",
            "",
            ".",
            "..",
        ),
        *(
            ".bashrc",
            ".git/hooks/pre-commit",
            "a/.ssh/config",
            "own.txt",
            "own.txt/x",
            "a\0b",
            "a\nb",
        ),
        *("\x1b[2J.txt", "\ud800", "x" * 256, "id_rsa", "a//b", "a/", "~/x.txt/../../x"),
    ]
    code = f"""
import hashlib
digest = hashlib.sha256(b'bad').hexdigest()
for path in {paths!r}:
    with asking() as kernel:
        for parts in ((b'bad',), ()):
            kernel.send('back', *parts, path=path, size=3, digest=digest)
            try:
                print(kernel.receive().head)
            except FileProblem as error:
                print('refused:', ascii(str(error)))
print(attempt('back', path=5, size=3), attempt('back', path='x', size=-1))
print(attempt('back_page', transfer='x'), attempt('back_end', transfer='x', digest=''))
"""
    kernel = speaking.take("")
    cell = kernel.run(HOSTILE + code)
    assert cell.error is None
    assert cell.text.count("refused: ") == 2 * len(paths) + 4, cell.text
    assert sorted(os.listdir()) == ["dangling.txt", "linked", "own.txt"]
    assert os.listdir(outside) == []
    assert sorted(os.listdir(bare_folder.parent)) == ["notebooks", "outside"]
    assert (bare_folder / "own.txt").read_text() == "mine"


def test_what_is_not_what_was_announced_is_not_kept(bare_folder: Path, speaking: Turns) -> None:
    code = """
def send(data, size, digest):
    with asking() as kernel:
        begun = kernel.ask('back', path='x.txt', size=size).head
        try:
            kernel.send('back_page', data, transfer=begun['transfer'])
            kernel.receive()
            kernel.ask('back_end', transfer=begun['transfer'], digest=digest)
        except FileProblem as error:
            print('refused:', error)
send(b'1234', 3, '')
send(b'1234', 4, 'nonsense')
send(b'12', 4, 'nonsense')
with asking() as kernel:
    for _ in range(20):
        kernel.ask('back', path='unfinished.txt', size=5)
"""
    kernel = speaking.take("")
    assert kernel.run(HOSTILE + code).text.count("refused: ") == 3
    assert eventually(lambda: os.listdir() == [])


def test_what_does_not_come_leaves_no_folders(bare_folder: Path, speaking: Turns) -> None:
    (bare_folder / "mine").mkdir()
    code = """
deep = '/'.join(['w' * 195] * 60) + '/x'
print(attempt('back', path=deep, size=5))
print(attempt('back', path='a/b/' + 'x' * 250 + '\\x7f', size=5))
with asking() as kernel:
    begun = kernel.ask('back', path='c/d/unfinished.txt', size=5).head
    other = kernel.ask('back', path='c/d/whole.txt', size=0).head
    try:
        kernel.ask('back_end', transfer=begun['transfer'], digest='')
    except FileProblem as error:
        print('refused:', error)
    empty = hashlib.sha256(b'').hexdigest()
    kernel.ask('back_end', transfer=other['transfer'], digest=empty)
    kernel.ask('back', path='e/f/never.txt', size=5)
    kernel.ask('back', path='mine/g/never.txt', size=5)
"""
    kernel = speaking.take("")
    cell = kernel.run("import hashlib\n" + HOSTILE + code)
    assert cell.text.count("refused: ") == 3, cell.text
    assert "its path is too long" in cell.text
    left = {"c": ["d"], "c/d": ["whole.txt"], "mine": []}
    assert eventually(
        lambda: (
            sorted(os.listdir()) == ["c", "mine"]
            and {name: os.listdir(name) for name in left} == left
        )
    )


def test_attempts_count(bare_folder: Path, speaking: Turns) -> None:
    # Each makes some sixty folders, which are all gone when it is given up.
    code = """
with asking() as kernel:
    for number in range(1000):
        try:
            kernel.ask('back', path=f'{number}/' + '/'.join(['x'] * 60) + '/y.txt', size=5)
        except FileProblem as error:
            print(number, error)
            break
"""
    kernel = speaking.take("")
    text = kernel.run(HOSTILE + code).text
    number, _, told = text.partition(" ")
    assert 150 < int(number) < 170
    assert "more has come from this environment than" in told
    assert eventually(lambda: os.listdir() == [])
    # It may bring nothing more.
    speaking.close()


def test_limits(folder: Path) -> None:
    limits = ("--AcaKernel.files_largest_mb=1", "--AcaKernel.files_total_mb=1")
    with running_kernel(arguments=(*BACK, *limits)) as kernel:
        cell = kernel.run("open('two.bin', 'wb').write(bytes(2_000_000));")
        assert cell.said == (
            "two.bin does not come back: it is larger than the setting `files_largest_mb` allows, "
            "which is 1. `%aca download` brings it."
        )
        kernel.run("open('one.bin', 'wb').write(bytes(900_000));")
        cell = kernel.run("open('more.bin', 'wb').write(bytes(900_000));")
        assert "`files_total_mb` allows, which is 1" in cell.said
    assert os.listdir() == ["one.bin"]


def test_what_breaks_on_its_way_leaves_no_half_file(
    corner: Path, far_pool: Pool, far: Turns
) -> None:
    kernel = far.take(f"os.mkdir({corner.name!r}); os.chdir({corner.name!r})")
    with coming(far_pool, kernel, 400_000_000) as msg_id:
        far_pool.kill_environments()
        assert kernel.collect(msg_id).status == "error"
        assert eventually(lambda: os.listdir() == [])


def test_nothing_is_left_of_what_was_coming_when_the_kernel_is_killed(
    corner: Path, far_pool: Pool, far: Turns
) -> None:
    kernel = far.take(f"os.mkdir({corner.name!r}); os.chdir({corner.name!r})")
    with coming(far_pool, kernel, 400_000_000):
        os.kill(kernel.pid, signal.SIGKILL)
        assert eventually(lambda: not kernel.manager.is_alive())
        assert os.listdir() == []


def test_an_interrupt_leaves_the_rest_to_the_next_cell(
    corner: Path, far_pool: Pool, far: Turns
) -> None:
    kernel = far.take(f"os.mkdir({corner.name!r}); os.chdir({corner.name!r})")
    with coming(far_pool, kernel, 90_000_000, 0.3) as msg_id:
        kernel.interrupt()
        cell = kernel.collect(msg_id)
        assert cell.said == ("Interrupted; what has not come back yet comes after the next cell.")
        assert "Error in callback" not in cell.text
        assert eventually(lambda: os.listdir() == [])
    kernel.run("1")
    assert os.path.getsize("large.bin") == 90_000_000
