"""`%aca`: status, restart, help, and what each says to bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from aca_kernel.remote.command_line import SUBCOMMANDS, Command, CommandInvalid, of_cell, parse

from ..support import Client, Pool, running_kernel, running_pool

LAUNCH = "launchShell"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


def sentence_of(kernel: Client, code: str) -> str:
    """Run what must fail, cleanly; return its one sentence."""
    cell = kernel.run(code)
    assert cell.status == "error"
    assert cell.error is not None
    assert cell.error["ename"] == cell.reply["content"]["ename"] == "AcaError"
    assert len(cell.error["traceback"]) == 1
    assert "\n" not in cell.error["evalue"]
    assert cell.stream("stderr") == ""
    return str(cell.error["evalue"])


# -- reading a line ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", Command("help")),
        ("--help", Command("help")),
        ("status", Command("status")),
        ("upload a.csv", Command("upload", "a.csv")),
        ("upload 'a b.csv' \"c d\"", Command("upload", "a b.csv", "c d")),
        ("download --force a b", Command("download", "a", "b", force=True)),
        ("download a --force", Command("download", "a", "", force=True)),
        (r"upload my\ file.csv", Command("upload", "my file.csv")),
        (r"upload C:\data\1.csv", Command("upload", r"C:\data\1.csv")),
        (r"upload data\1.csv sub/", Command("upload", r"data\1.csv", "sub/")),
        (r"download a C:\Users\me\ ".rstrip(), Command("download", "a", "C:\\Users\\me\\")),
        (r'upload "C:\my data\1.csv"', Command("upload", r"C:\my data\1.csv")),
        (r"upload 'C:\my data\1.csv'", Command("upload", r"C:\my data\1.csv")),
        (r"upload \\server\share\1.csv", Command("upload", r"\\server\share\1.csv")),
        (r'upload "\\server\my share\1.csv"', Command("upload", r"\\server\my share\1.csv")),
        (r"upload \\?\C:\data\1.csv", Command("upload", r"\\?\C:\data\1.csv")),
        (r"upload \\.\pipe\a", Command("upload", r"\\.\pipe\a")),
        (r"upload ~\.data\_1.csv", Command("upload", r"~\.data\_1.csv")),
        (r"upload a\\b", Command("upload", r"a\b")),
        (r"upload it\'s", Command("upload", "it's")),
    ],
)
def test_a_line_is_read(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("uplaod x", "There is no `%aca uplaod`"),
        ("upload", "needs the path"),
        ("upload ''", "empty"),
        ("upload 'a", "quote"),
        ("upload a b c", "quotes"),
        ("upload --force a", "no option --force"),
        ("download --quick a", "no option --quick"),
        ("restart now", "too much"),
    ],
)
def test_a_line_that_makes_no_sense_gets_a_sentence(text: str, says: str) -> None:
    with pytest.raises(CommandInvalid, match=says):
        parse(text)


@pytest.mark.parametrize(
    "code",
    [
        "# %aca upload secret",
        "x = '%aca upload secret'",
        "run_line_magic('aca', 'upload secret')",
        "'''x\x0c%aca upload secret'''",
        "'''x\u2028%aca upload secret'''",
        "%acad upload secret",
        "%aca upload 'secret",
    ],
)
def test_what_is_no_line_of_its_own_permits_nothing(code: str) -> None:
    assert of_cell(code) == []


def test_lines_are_found_wherever_they_stand_in_a_cell() -> None:
    code = "%%time\nfor n in range(3):\n    %aca upload a b\naca download c\r\n"
    assert of_cell(code) == [Command("upload", "a", "b"), Command("download", "c")]


# -- in a notebook -----------------------------------------------------------------


def test_help_is_what_comes_without_a_subcommand(shared_kernel: Client) -> None:
    text = shared_kernel.run("%aca").text
    assert shared_kernel.run("%aca help").text == text
    assert all(f"%aca {name}" in text for name in SUBCOMMANDS)


def test_the_page_lists_every_subcommand() -> None:
    for name, (usage, _) in SUBCOMMANDS.items():
        assert f"| `{f'%aca {name} {usage}'.rstrip()}` |" in PAGE


@pytest.mark.parametrize("line", ["%aca nonsense", "%aca upload", "%aca restart now"])
def test_bad_input_is_one_sentence_and_a_failed_cell(shared_kernel: Client, line: str) -> None:
    assert sentence_of(shared_kernel, f"1\n{line}")
    assert shared_kernel.run("6 * 7").result == "42"


def test_subcommands_are_completed(shared_kernel: Client) -> None:
    reply = shared_kernel.ask("complete_request", {"code": "%aca ", "cursor_pos": 5})
    assert set(SUBCOMMANDS) <= set(reply["content"]["matches"])
    reply = shared_kernel.ask("complete_request", {"code": "%aca st", "cursor_pos": 7})
    assert reply["content"]["matches"] == ["status"]


def test_status_is_a_table_as_text_and_html_without_secrets(
    shared_pool: Pool, shared_pool_kernel: Client
) -> None:
    (message,) = shared_pool_kernel.run("%aca status").of_type("display_data")
    data = message["content"]["data"]
    rows = dict(line.split("  ", 1) for line in data["text/plain"].splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["pool"] == "127.0.0.1"
    assert rows["environment"].endswith("…")
    assert float(rows["round trip"].split(" ms")[0]) > 0
    # The answer itself came by one or two more.
    assert sum(shared_pool.calls().values()) - int(rows["tool calls"]) in (1, 2)
    assert rows["cooldown"].startswith("ends in 300 s")
    assert rows["Python"].startswith("3.")
    for name, value in rows.items():
        assert f">{name}</th>" in data["text/html"]
        assert f">{value}</td>" in data["text/html"]
    assert shared_pool.api_key not in str(data)


def test_the_connection_file_is_that_of_the_kernel_on_this_machine(shared_kernel: Client) -> None:
    (message,) = shared_kernel.run("%aca status").of_type("display_data")
    rows = [line.split() for line in message["content"]["data"]["text/plain"].splitlines()]
    (name,) = [row[-1] for row in rows if row[:2] == ["connection", "file"]]
    assert name == Path(shared_kernel.manager.connection_file).name
    told = shared_kernel.run("%connect_info").told
    assert "`%aca status`" in told
    assert "kernel-" not in told


def test_status_names_the_embedded_pool(shared_kernel: Client) -> None:
    (message,) = shared_kernel.run("%aca status").of_type("display_data")
    assert "embedded" in message["content"]["data"]["text/plain"]


# -- restart -----------------------------------------------------------------------


def test_restart_gives_a_new_environment_and_counts_anew(
    shared_pool: Pool, shared_pool_kernel: Client
) -> None:
    shared_pool_kernel.run("x = 1\nopen('kept.txt', 'w').write('x')")
    launches = shared_pool.calls()[LAUNCH]
    cell = shared_pool_kernel.run("%aca restart\nprint('the rest of the cell runs')")
    assert "variables and files are lost" in cell.told
    assert "cooldown" in cell.told
    assert cell.text.endswith("the rest of the cell runs\n")
    assert shared_pool.calls()[LAUNCH] == launches
    cell = shared_pool_kernel.run("import os\nprint('x' in dir(), os.listdir())")
    assert cell.text == "False []\n"
    assert cell.stream("stderr") == ""
    assert cell.reply["content"]["execution_count"] == 1
    assert shared_pool.calls()[LAUNCH] == launches + 1


def test_cells_behind_a_restart_run_once_and_in_the_new_environment(shared_kernel: Client) -> None:
    kernel = shared_kernel
    before = kernel.run("x = 1").reply["content"]["execution_count"]
    ids = [kernel.send(code) for code in ("%aca restart", "print('x' in dir())", "y = 2", "y")]
    cells = [kernel.collect(msg_id) for msg_id in ids]
    assert [cell.status for cell in cells] == ["ok"] * 4
    assert cells[1].text == "False\n"
    assert cells[3].result == "2"
    assert [cell.reply["content"]["execution_count"] for cell in cells] == [before + 1, 1, 2, 3]
    assert len(cells[1].of_type("execute_input")) == 1


def test_cells_behind_a_restart_whose_cell_fails_are_aborted(shared_kernel: Client) -> None:
    # It takes so long that the other one has come by then, on a busy machine, too.
    first = shared_kernel.send("x = 1\n%aca restart\nimport time\ntime.sleep(0.3)\n1/0")
    second = shared_kernel.send("print('never')")
    assert shared_kernel.collect(first).status == "error"
    assert shared_kernel.collect(second).status == "aborted"
    assert shared_kernel.run("'x' in dir()").result == "False"


def test_an_embedded_pool_can_be_restarted_again_and_again(shared_kernel: Client) -> None:
    for n in range(4):
        assert shared_kernel.run(f"x = {n}\n%aca restart").status == "ok"
    assert shared_kernel.run("'x' in dir()").result == "False"


def test_only_a_line_of_the_cell_restarts(shared_kernel: Client) -> None:
    shared_kernel.run("x = 1")
    code = "get_ipython().run_line_magic('aca', 'restart')"
    assert "No line of the running cell" in sentence_of(shared_kernel, code)
    assert shared_kernel.run("x").result == "1"


FOLDER = """
import os, shutil, sys
folder = os.path.dirname(os.path.dirname(sys.modules["_aca_remote"].__file__))
"""

# What code does before a line, and how it is undone.
STRANGE = {
    "timeout": ("import socket; socket.setdefaulttimeout(1e-6)", "socket.setdefaulttimeout(None)"),
    "proxy": (
        "import socket; kept = socket.socket\nsocket.socket = open",
        "socket.socket = kept",
    ),
    "permission": (FOLDER + "os.chmod(folder, 0)", "os.chmod(folder, 0o700)"),
    # The agent makes its folder again.
    "renamed": (FOLDER + "os.rename(folder, folder + '-')", "shutil.rmtree(folder + '-')"),
    "file": (
        FOLDER + "os.rename(folder, folder + '-')\nopen(folder, 'w').close()",
        "os.unlink(folder); shutil.rmtree(folder + '-')",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_line_reaches_this_machine_whatever_code_has_changed(
    shared_kernel: Client, name: str
) -> None:
    change, undo = STRANGE[name]
    cell = shared_kernel.run(f"{change}\ntry:\n    %aca status\nfinally:\n    {undo}")
    assert cell.evalue == ""
    assert len(cell.of_type("display_data")) == 1


def test_a_checkpoint_that_fails_in_the_environment_says_why(shared_kernel: Client) -> None:
    code = """
from _aca_remote.originals import os
def fail(): raise OSError(12, "Cannot allocate memory")
kept, os.fork = os.fork, fail
try:
    %aca checkpoint
finally:
    os.fork = kept
"""
    told = sentence_of(shared_kernel, code)
    assert told == "It failed in the environment: [Errno 12] Cannot allocate memory."


@pytest.mark.parametrize("does", ["print('loud', file=sys.stderr)", "raise RuntimeError"])
def test_a_checkpoint_may_be_taken_beside_a_debugger(shared_kernel: Client, does: str) -> None:
    """A debugger puts a function of its own in the place of `sys.settrace`."""
    code = f"""
import sys
kept = sys.settrace
def settrace(function):
    {does}
sys.settrace = settrace
try:
    %aca checkpoint
finally:
    sys.settrace = kept
"""
    cell = shared_kernel.run(code)
    assert cell.text.startswith("Stored ")
    assert cell.said == ""


def test_plain_mode_says_in_one_sentence_that_there_is_none() -> None:
    with (
        running_pool(quirks=["no_ipykernel"], egress="disabled") as pool,
        running_kernel(pool.env) as kernel,
    ):
        error = kernel.run("%aca status").error
        assert error is not None
        assert "plain mode" in error["evalue"]
        assert kernel.run("6 * 7").result == "42"
