"""What is never sent, whatever code tries by files or by the relay's own protocol."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.host.notebook_files.folder import Folder
from aca_kernel.host.notebook_files.withheld import is_withheld, parts_of
from aca_kernel.remote.paged_files import FileProblem

from ...in_turn import Turns, turns
from ...support import Client, running_kernel
from ..conftest import inside, kernel_in
from ..test_transfer import HOSTILE
from .conftest import DECOYS, SECRET, fill


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


@pytest.fixture
def kernel(bare: Path, shared: Turns) -> Client:
    """A kernel that knows files of other tests: these are named otherwise.

    What a user is told it tells of five files.
    """
    return shared.take("")


# What the folder shows of itself.
SHOWN = {
    "array.npy", "data.csv", "data.db", "data.parquet", "data.zip", "helper_module.py", "image.png",
    "package", "same.txt", "sub", "text.txt",
}  # fmt: skip


def test_no_reader_reaches_a_decoy(full_folder: Path, full_kernel: Client) -> None:
    code = f"""
import os, pathlib, sqlite3, subprocess, glob
got = []
def attempt(action):
    try:
        got.append(action())
    except (OSError, sqlite3.Error) as error:
        assert "beside the notebook" not in str(error), error
for path in {[*DECOYS, str(full_folder / ".env"), str(full_folder.parent / "outside.txt")]!r}:
    assert not os.path.exists(path), path
    assert not os.access(path, os.R_OK)
    attempt(lambda: open(path).read())
    attempt(lambda: os.read(os.open(path, os.O_RDONLY), 100))
    attempt(lambda: pathlib.Path(path).read_text())
    attempt(lambda: os.listdir(os.path.dirname(path) or '.'))
    subprocess.run(['cat', path], capture_output=True)
    !cat "{{path}}" 2>/dev/null
attempt(lambda: glob.glob('**/*', recursive=True, include_hidden=True))
"""
    cell = full_kernel.run(code.replace("include_hidden=True", "") + "\nprint(got)")
    assert cell.error is None
    assert SECRET not in cell.text
    for path in ("ignored", "link", ".env", "id_rsa", "pem", "private", "credentials"):
        assert path not in cell.text


@pytest.mark.parametrize("op", ["files_open", "files_look", "files_list"])
def test_no_decoy_is_sent_to_who_speaks_the_protocol(full_kernel: Client, op: str) -> None:
    paths = [
        *DECOYS,
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "sub/",
        "sub//x",
        "a\0b",
        "\ud800",
        "x" * 300,
    ]
    code = f"""
for path in {paths!r}:
    print(path.encode('unicode_escape'), attempt({op!r}, path=path, paths=[path, 5, None]))
with asking() as kernel:
    for head in ({{'path': 5}}, {{}}, {{'path': ['.env']}}, {{'paths': 'x'}}):
        kernel._connection.send({{'id': 'one', 'op': {op!r}, **head}})
        try:
            print(kernel.receive().head)
        except FileProblem as error:
            print('refused:', error)
"""
    cell = full_kernel.run(HOSTILE + code)
    assert cell.error is None
    assert SECRET not in cell.text
    assert "'transfer'" not in cell.text
    for line in cell.text.splitlines()[: len(paths)]:
        is_root = line.startswith("b'' ")
        if op == "files_open":
            assert "'none'" in line
        elif op == "files_look":
            assert "'found': [None, None, None]" in line or is_root
        else:
            assert "'is_folder': False" in line or is_root
    assert full_kernel.run("open('text.txt').read()").result == "'a text\\n'"


def test_pages_of_a_file_that_was_not_opened_are_not_sent(full_kernel: Client) -> None:
    code = "print(attempt('files_page', transfer='x'), attempt('files_page', transfer=[]))"
    assert full_kernel.run(HOSTILE + code).text.count("refused: ") == 2


def test_the_folder_shows_what_may_be_sent_and_nothing_else(full_folder: Path) -> None:
    folder = Folder(str(full_folder))
    items = folder.items("")
    assert items is not None
    assert {name for name, _ in items} == SHOWN
    for path in DECOYS:
        assert folder.find(path) is None, path
        with pytest.raises(FileProblem):
            folder.open(path)
    assert folder.items("linked") is None
    assert folder.items("ignored") is None


def test_a_name_that_becomes_a_link_while_it_is_opened_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file.txt").write_text(SECRET)
    root = tmp_path / "notebooks"
    root.mkdir()
    (root / "real").mkdir()
    (root / "real" / "file.txt").write_text("mine")
    os.symlink("../outside", root / "link")
    end = threading.Event()

    def swap() -> None:
        # `sub` is the folder at one moment and a link out of it at the next.
        while not end.is_set():
            os.symlink("real", root / "new")
            os.replace(root / "new", root / "sub")
            os.symlink("../outside", root / "new")
            os.replace(root / "new", root / "sub")

    swapping = threading.Thread(target=swap)
    swapping.start()
    folder, got = Folder(str(root)), set()
    try:
        for _ in range(3000):
            try:
                file = folder.open("sub/file.txt")
            except FileProblem:
                continue
            got.add(file.read(100))
            file.close()
    finally:
        end.set()
        swapping.join()
    assert got <= {b"mine"}


WITHHELD = """
    .env .git .netrc id_rsa ID_RSA.bak a.PEM x.key my.pfx a.p12 prod.env credentials
    credentials.json google-credentials.json client_secret_1.json secrets.toml api_key.txt apikey
    token token.json github_token.txt kubeconfig terraform.tfstate a.tfvars local.settings.json
    x.kdbx
    aws_credentials my_secrets my_secrets.json my.secret client.secret app.secrets my.token
    bearer.token kaggle.json krb5.keytab x.keytab rootkey.csv accessKeys.csv me_accessKeys.csv
    app-firebase-adminsdk-1.json openai_api_key.txt secret_key secret_key.txt secretkey.txt
    clientsecret.json credentials_prod.json secrets-prod.yaml a.jceks vault_pass vault_pass.txt
    key.pem.bak server.key.old my.env.bak prod.env.local prod.env.production key.pem~ a.p12.orig~
    credentials.json.bak kaggle.json.old my_secrets.bak token.json~ env.local env.json secret
    db_password.txt passwords.csv mysecrets.yaml client-secret.txt azure.client_secret sa-key.json
    secret.py mysecrets.py password_prod.txt secrets.py my_secrets.py credentials.py
    aws_credentials.py password.py passwords.py api_key.py apikey.py client_secret.py secret_key.py
    secrets.py.bak credentials.py.old
"""

HARMLESS = """
    data.csv keys.csv tokens.txt.csv tokenizer.json keyboard.txt environment.yml secretary.csv
    monkey.csv passenger.csv env_data.csv ünïcode.csv a,b.csv
    env.py token.py get_token.py github-token.py my_secret.py env.py.bak x.env.py hash_password.py
    token_count.py token_count.csv secret_santa.py secret_santa.csv tokens.csv tokens.txt
    added_tokens.json special_tokens_map.json vocab.json results.csv.bak data.old model.local
    notes~ passwordless.md environment.py keyboard.py author.json monkey.py
    answer_key.json env envs venv
"""


@pytest.mark.parametrize("name", WITHHELD.split())
def test_names_that_are_withheld(name: str) -> None:
    assert is_withheld(name)
    assert parts_of(f"data/{name}") is None
    assert parts_of(f"{name}/data") is None


@pytest.mark.parametrize("name", HARMLESS.split())
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_withheld(name)
    assert parts_of(f"data/{name}") == ["data", name]


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot at 10.03.12\u202fAM.png", "a\xa0b.csv", "数据\u3000表.csv",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.png", "\u2764\ufe0f\u200d\U0001f525.txt",
        "\u0645\u06cc\u200c\u062e.txt", "क\u094d\u200dष.txt", "e\u0301.txt",
    ],
)  # fmt: skip
def test_names_of_other_scripts_are_names(name: str, folder: Path) -> None:
    (folder / name).write_text("mine")
    assert [one for one, _ in Folder(str(folder)).items("") or ()] == [name]
    assert Folder(str(folder)).find(name) is not None


@pytest.mark.parametrize(
    "path",
    [
        "a//b", "a/../b", "./a", "/a", "a/", "a\nb", "a\\b", "a\x1b[1m", "a\u202eb", "a\u2066b",
        "a\u2028b", "a\u2029b", "a\u200db", "\u200d", "é\u200d", "a\u200fb", "a\u200bb", "a\xadb",
        "a\x85b", "\ufeffa", "a\ue000b",
    ],
)  # fmt: skip
def test_paths_that_are_none(path: str) -> None:
    assert parts_of(path) is None


def test_the_whole_system_is_nobodys_folder() -> None:
    folder = Folder("/")
    assert folder.find("etc/hostname") is None
    assert folder.items("") is None


@pytest.mark.parametrize("mode", ["off", "hint"])
def test_the_setting_cannot_be_got_round(tmp_path: Path, mode: str) -> None:
    root = tmp_path / "notebooks"
    root.mkdir()
    fill(root)
    code = """
for op in ('files_open', 'files_list', 'back'):
    print(attempt(op, path='text.txt', size=1))
print(attempt('files_look', paths=['text.txt', '.env', 'ignored.txt', 'link.txt']))
"""
    with inside(root), running_kernel(arguments=(f"--AcaKernel.files={mode}",)) as kernel:
        lines = kernel.run(HOSTILE + code).text.splitlines()
        assert all(line.startswith("refused: ") for line in lines[:3])
        if mode == "off":
            assert lines[3].startswith("refused: ")
        else:
            assert lines[3].count("None") == 3
        assert kernel.run("!ls").stream("stdout") == ""
        assert kernel.run("import os; os.listdir()").result == "[]"


def test_limits(folder: Path) -> None:
    for name, size in (("two.bin", 2_000_000), ("one.bin", 900_000), ("other.bin", 900_000)):
        with open(name, "wb") as file:
            file.truncate(size)
    limits = ("--AcaKernel.files_largest_mb=1", "--AcaKernel.files_total_mb=1")
    with running_kernel(arguments=limits) as kernel:
        assert kernel.run("import os; os.path.getsize('two.bin')").result == "2000000"
        cell = kernel.run("open('two.bin')")
        assert cell.error is not None
        assert cell.evalue == (
            "[Errno 2] No such file or directory: 'two.bin'. two.bin lies beside the notebook on "
            "your machine and is larger than the setting `files_largest_mb` allows, which is 1. "
            "`%aca upload` sends it."
        )
        assert kernel.run("len(open('one.bin').read())").result == "900000"
        cell = kernel.run("open('other.bin')")
        assert cell.error is not None
        assert "`files_total_mb` allows, which is 1. `%aca upload` sends it." in cell.evalue
        assert kernel.run("%aca upload other.bin\nlen(open('other.bin').read())").result == "900000"


def test_the_user_is_told_why_an_ignored_file_is_missing_and_the_environment_is_not(
    bare: Path, kernel: Client
) -> None:
    (bare / ".gitignore").write_text("data.csv\n")
    (bare / "data.csv").write_text("mine")
    code = (
        "import contextlib, io\nwith contextlib.redirect_stderr(io.StringIO()) as said:\n"
        "    try:\n        open('data.csv')\n    except OSError as error:\n        pass\n"
        "said.getvalue()"
    )
    cell = kernel.run(code)
    assert cell.result == "''"
    assert cell.said == (
        "data.csv is not sent to the environment, because .gitignore or .acaignore excludes "
        "it. A line !data.csv in a file .acaignore beside the notebook lets it through."
    )
    (bare / ".acaignore").write_text("!data.csv\n")
    assert kernel.run("open('data.csv').read()").result == "'mine'"


def test_who_lists_a_folder_for_a_module_learns_nothing_of_one_that_is_withheld(
    tmp_path: Path,
) -> None:
    (tmp_path / ".gitignore").write_text("local_settings.py\nbuild/\nown/\n")
    (tmp_path / "helper.py").touch()
    for path in (".hidden.py", "server.pem", "build/lib/x.py", "key words.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    folder = Folder(str(tmp_path))
    shown = {name for name, _ in folder.items("") or ()}
    assert shown == {"helper.py", "key words.py"}
    assert not folder.withholds_module("", shown)
    for path in ("secrets.py", "local_settings.py", "own/__init__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
        assert folder.withholds_module("", {name for name, _ in folder.items("") or ()})
        (tmp_path / path).unlink()


def test_what_is_told_helps(bare: Path, kernel: Client) -> None:
    for name in ("data", "sub", "deep"):
        (bare / name).mkdir()
    (bare / ".gitignore").write_text("data/\nignored.txt\ndeep/\n*.log\n")
    (bare / "sub" / ".gitignore").write_text("*.csv\n")
    for path in ("data/x.csv", "sub/x y.csv", "ignored.txt", "deep/a.log"):
        (bare / path).write_text("mine")
    os.symlink("ignored.txt", bare / "link.txt")
    beside = "in a file .acaignore beside the notebook"
    expected = {
        "data/x.csv": f"A line !data/ {beside} lets all of that folder through.",
        "link.txt": f"A line !ignored.txt {beside} lets it through.",
        "deep/a.log": f"The lines !deep/ and !deep/a.log {beside} let all of that folder through.",
        "sub/x y.csv": "`%aca upload 'sub/x y.csv' sub/` sends it.",
    }
    for path, help_ in expected.items():
        assert kernel.run(f"open({path!r})").said == (
            f"{path} is not sent to the environment, because .gitignore or .acaignore excludes "
            f"it. {help_}"
        )
    (bare / ".acaignore").write_text("!data/\n!ignored.txt\n!deep/\n!deep/a.log\n")
    code = "[open(path).read() for path in ('data/x.csv', 'link.txt', 'deep/a.log')]"
    assert kernel.run(code).result == "['mine', 'mine', 'mine']"
    code = "%aca upload 'sub/x y.csv' sub/\nopen('sub/x y.csv').read()"
    assert kernel.run(code).result == "'mine'"


def test_the_user_is_told_that_a_name_is_withheld_and_may_send_it_all_the_same(
    folder: Path,
) -> None:
    (folder / "secrets_of_us.py").write_text("VALUE = 7\n")
    (folder / "credentials.json").write_text("{}")
    (folder / "sub").mkdir()
    (folder / "sub" / "credentials.json").write_text("{}")
    because = "because files with names that are usual for keys and passwords never are"
    with running_kernel() as kernel:
        for code, path in (
            ("open('credentials.json')", "credentials.json"),
            (
                "import importlib.util as util\nutil.find_spec('nowhere')\nimport secrets_of_us",
                "secrets_of_us.py",
            ),
        ):
            cell = kernel.run(code)
            assert cell.status == "error"
            assert cell.said == (
                f"{path} is not sent to the environment, {because} by themselves. "
                f"`%aca upload {path}` sends it."
            )
        assert kernel.run("open('api_key.txt')").said == ""
        code = "%aca upload secrets_of_us.py\nimport secrets_of_us\nsecrets_of_us.VALUE"
        assert kernel.run(code).result == "7"
        # In another directory than the notebook's, too.
        kernel.run("import os; os.makedirs('sub', exist_ok=True); os.chdir('sub')")
        line = "%aca upload sub/credentials.json ../sub/"
        assert kernel.run("open('credentials.json')").said.endswith(f" `{line}` sends it.")
        assert kernel.run(f"{line}\nopen('credentials.json').read()").result == "'{}'"
