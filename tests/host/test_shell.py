"""`!`: IPython parses it, the shell tool runs it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..comparison import Pair, errors, everything, running_pair
from ..support import Cell, Client, Pool, running_kernel

# In a pair the other kernel runs on this machine itself: nothing there may do harm.
SHELL = "runShellCommandInRemoteEnvironment"


def test_a_command_goes_to_the_shell_tool(shared_pool: Pool, shared_pool_kernel: Client) -> None:
    shared_pool_kernel.run("1")
    # A start that takes long has been asked about by this tool already.
    before = shared_pool.calls().get(SHELL, 0)
    assert shared_pool_kernel.run("!echo hello").text == "hello\r\n"
    assert shared_pool.calls()[SHELL] > before


def test_output_can_be_taken_and_variables_expand(shared_kernel: Client) -> None:
    shared_kernel.run("word = 'expanded'\nx = !echo {word}; echo $word; echo err >&2")
    assert shared_kernel.run("list(x)").result == "['expanded', 'expanded', 'err']"
    cell = shared_kernel.run("for n in range(3):\n    !echo line {n}")
    assert cell.text.replace("\r", "") == "line 0\nline 1\nline 2\n"


def test_it_sees_directory_and_environment_variables(shared_kernel: Client) -> None:
    cell = shared_kernel.run("%cd -q /tmp\n%env GREETING=salut\n!pwd; echo $GREETING")
    assert cell.text.replace("\r", "").endswith("/tmp\nsalut\n")
    shared_kernel.run("%cd -q -")


def test_how_we_allocate_memory_is_not_the_users_variable(shared_kernel: Client) -> None:
    began_with = "'GLIBC_TUNABLES=glibc.malloc.hugetlb=1' in open('/proc/self/environ').read()"
    cell = shared_kernel.run(
        "!echo [$GLIBC_TUNABLES]\n!env | grep -c GLIBC\nimport os\n"
        f"{began_with}, 'GLIBC_TUNABLES' in os.environ"
    )
    assert cell.text.replace("\r", "") == "[]\n0\n"
    assert cell.result == "(True, False)"


def test_the_exit_status_is_kept(shared_kernel: Client) -> None:
    shared_kernel.run("!exit 7")
    assert shared_kernel.run("_exit_code").result == "7"


def test_a_cell_magic_runs_there_too(shared_kernel: Client) -> None:
    assert shared_kernel.run("%%sh\nfor i in 1 2; do echo $i; done").text == "1\n2\n"


def test_output_streams(shared_kernel: Client) -> None:
    left = "while ! test -e seen; do sleep 0.05; done; rm seen; echo second"
    running = shared_kernel.send(f"!echo first; {left}")
    shared_kernel.wait_for_stream(running, "first")
    shared_kernel.run_in_subshell("open('seen', 'w').close()")
    assert "second" in shared_kernel.collect(running).text


def test_a_command_may_be_long_and_hold_any_quote(shared_kernel: Client) -> None:
    shared_kernel.run("long = 'a' * 200_000")
    assert shared_kernel.run("x = !printf %s {long} | wc -c\nint(x[0])").result == "200000"
    cell = shared_kernel.run("""!printf '%s\\n' "it's" '"quoted"' '$HOME' """)
    assert cell.text.replace("\r", "") == 'it\'s\n"quoted"\n$HOME\n'


def test_a_lost_answer_does_not_run_it_twice(shared_pool: Pool, shared_pool_kernel: Client) -> None:
    shared_pool_kernel.run("1")
    shared_pool.fault(kind="drop_after", count=1, tool=SHELL)
    shared_pool_kernel.run("!echo once >> counted")
    assert shared_pool_kernel.run("x = !cat counted\nlist(x)").result == "['once']"


MANY_DESCRIPTORS = """
import os, resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
"""


def test_more_descriptors_than_select_can_take(shared_kernel: Client) -> None:
    kernel = shared_kernel
    kernel.run(MANY_DESCRIPTORS)
    assert kernel.run("!echo many").text == "many\r\n"
    assert kernel.run("x = !echo taken\nlist(x)").result == "['taken']"
    assert kernel.run("os.system('echo below')").text == "below\n"
    assert kernel.run("%aca checkpoint").text.startswith("Stored ")
    assert kernel.run("for one in held: os.close(one)").status == "ok"


@pytest.fixture(scope="module")
def shared_pair() -> Iterator[Pair]:
    with running_pair() as one:
        yield one


@pytest.fixture
def pair(shared_pair: Pair) -> Iterator[Pair]:
    """Two kernels in `sh`; variables and working directory are put back."""
    shared_pair.both(
        lambda client: (
            client.run("import os; was = dict(os.environ), os.getcwd()\n%env SHELL=/bin/sh").text
        )
    )
    yield shared_pair
    back = "os.chdir(was[1]); os.environ.clear(); os.environ.update(was[0])"
    assert shared_pair.both(lambda client: client.run(back).status) == "ok"


def test_variables_may_have_any_name_and_value(pair: Pair) -> None:
    variables = {"größe": "1", "A-B": "2", "L.1": "two\nlines", "1": "'"}
    pair.check(f"import os\nos.environ.update({variables})\nos.environb[b'RAW'] = b'\\xff'")
    for program in ("/bin/sh", "/bin/bash"):
        pair.check(f"%env SHELL={program}")
        pair.check("!echo said")
        cell = pair.check(
            "x = !env | sort | grep -aE '^(größe|A-B|L.1|lines|RAW|1)'\nprint(list(x))"
        )
    assert "größe=1" in cell.text
    assert "A-B=2" in cell.text


def test_a_path_without_the_systems_folders_ends_as_anywhere(pair: Pair) -> None:
    pair.check("%env PATH=$PATH:/opt/tool/bin")
    cell = pair.check("!echo said; ls; /bin/echo named\n_exit_code")
    assert cell.text.startswith("said\r\n/bin/sh: 1: ls: not found")
    assert pair.check("!ls\n_exit_code").result == "127"
    pair.check("x = !ls\nlist(x)")


def test_of_a_killed_command_only_its_output_is_taken(pair: Pair) -> None:
    for how in ("kill -KILL $$", "echo before; kill -TERM $$"):
        pair.check(f"x = !{how}\nlist(x)")
        pair.check(f"!{how}\n_exit_code")


def test_what_starts_a_command_may_be_killed(shared_kernel: Client) -> None:
    cell = shared_kernel.run("!kill -KILL $PPID; sleep 100\n_exit_code")
    assert cell.result == "-9"


def test_a_command_that_cannot_be_passed_is_an_error(pair: Pair) -> None:
    pair.check("x = !echo {chr(0)}", errors)
    pair.check("import os; os.environ['LONG'] = 'x' * 200_000")
    pair.check("x = !echo said", errors)
    pair.check("!echo said", errors)


INHERITED = "umask; ulimit -n; ulimit -Hn; ulimit -c; nice; nproc; touch made; stat -c %a made"


@pytest.fixture
def own_pair() -> Iterator[Pair]:
    """Two kernels that nobody needs afterwards: limits cannot be raised again."""
    with running_pair() as one:
        one.both(lambda client: client.run("%env SHELL=/bin/sh").text)
        yield one


def test_a_command_inherits_what_a_child_process_does(own_pair: Pair) -> None:
    pair = own_pair
    pair.check("import os, resource, tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)")
    pair.check(
        "os.umask(0o027), os.nice(3)\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))"
    )
    cell = pair.check(f"!{INHERITED}")
    niceness = str(os.nice(0) + 3)
    assert cell.text.split() == ["0027", "200", "300", "0", niceness, "1", "640"]
    pair.check(f"x = !{INHERITED}\nlist(x)")
    pair.check(f"%env SHELL=/bin/bash\nx = !{INHERITED}\nlist(x)")
    pair.check("os.remove('made')\nos.chdir('/')\nos.rmdir(folder)")


def test_signals_that_code_ignores_or_blocks_are_so_for_a_command(pair: Pair) -> None:
    pair.check("import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)")
    pair.check("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])")
    survive = "kill -USR1 $$; echo survived"
    assert pair.check(f"!{survive}\n_exit_code").text == "survived\r\n"
    pair.check(f"x = !{survive}\nlist(x)")
    # dash blocks nothing, whatever it inherits.
    cell = pair.check("%env SHELL=/bin/bash\nx = !grep SigBlk /proc/self/status\nx[0][8:]")
    assert cell.result == "'0000000000000800'"
    pair.check("signal.signal(signal.SIGUSR1, signal.SIG_DFL)")
    pair.check("signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])")
    pair.check("!kill -USR1 $$\n_exit_code")


def test_a_working_directory_that_was_removed_is_one(pair: Pair) -> None:
    pair.check("import os, tempfile\ngone = tempfile.mkdtemp()\nos.chdir(gone)\nos.rmdir(gone)")
    code = "echo said; ls; touch made; cd /; pwd"
    assert pair.check(f"!{code}\n_exit_code").result == "0"
    pair.check(f"x = !{code}\nlist(x)")
    # One of the same name is not the one.
    pair.check("os.mkdir(gone)")
    pair.check(f"!{code}")
    pair.check("os.chdir(gone)")
    assert pair.check("!touch made; ls").text == "made\r\n"
    pair.check("os.remove('made')\nos.rmdir(gone)")


def test_a_working_directory_may_be_out_of_reach(pair: Pair) -> None:
    pair.check(
        "import os, tempfile\nouter = tempfile.mkdtemp()\nos.makedirs(outer + '/inner')\n"
        "os.chdir(outer + '/inner')\nos.chmod(outer, 0)"
    )
    assert pair.check("!touch made; ls").text == "made\r\n"
    pair.check("os.remove('made')\nos.chmod(outer, 0o700)\nos.removedirs(outer + '/inner')")


# What only bash knows, and what tells of the shell.
BASH = (
    "echo sourced=here > script; source ./script; echo $sourced; rm script",
    "[[ abc == a* ]] && echo matched",
    "echo {1..3}",
    "diff <(echo a) <(echo b)",
    "cat <<< here",
    "a=(x y z); echo ${a[1]} ${#a[@]}",
    "set -o pipefail; false | true; echo $?",
    "ls /nonexistent &>> both; ls /nonexistent &>> both; cat both; rm both",
    "for ((i = 0; i < 3; i++)); do echo $i; done",
    "word=loud; echo ${word^^} ${word:1:2}",
    "printf -v made %03d 7; echo $made",
    "echo $'a\\tb'; echo -e 'a\\tb'",
    "function f { local x=in; echo $x; }; f",
    "echo $0 $BASH_VERSION $-",
    "nosuchcommand; false || (exit 3)",
    "sh -c 'kill -KILL $$'; echo went on",
)


def test_commands_run_in_the_shell_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    with running_pair() as pair:
        pair.check("import os, tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)")
        for command in BASH:
            # No number of a process is said twice.
            pair.check(f"!{command}\n_exit_code", _without_pids)
            pair.check(f"x = !{command}\nprint(list(x))", _without_pids)
        assert pair.check("!echo {1..3}").text == "1 2 3\r\n"
        pair.check("os.chdir('/')\nos.rmdir(folder)")


def _without_pids(cell: Cell) -> dict[str, Any]:
    found = everything(cell)
    return {**found, "stdout": re.sub(r"line 1: +\d+ ", "line 1: PID ", found["stdout"])}


def test_the_shell_is_the_one_that_ipython_would_take() -> None:
    with running_pair() as pair:
        pair.check("import os\n_ = os.environ.pop('SHELL', None)")
        assert pair.check("x = !echo $0 $BASH\nlist(x)").result == "['/bin/sh']"
        for shell in ("/nonexistent/shell", "nosuchshell", "/etc/passwd", "/tmp", ""):
            pair.check(f"os.environ['SHELL'] = {shell!r}")
            pair.check("x = !echo said", errors)
            pair.check("!echo said", errors)
        pair.check("%env SHELL=sh\nx = !echo $0 $BASH\nprint(x)")
        pair.check("!echo $0 $BASH")
        # IPython keeps the first one that there is.
        pair.check("%env SHELL=/bin/bash\nx = !echo $0 $BASH\nprint(x)")
        assert pair.check("!echo $0 $BASH").text.endswith("/sh\r\n")


def test_a_shell_that_a_session_does_not_see_is_not_given_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell = tmp_path / "shell"
    shutil.copy("/bin/sh", shell)
    monkeypatch.setenv("SHELL", str(shell))
    with running_kernel() as kernel:
        assert kernel.run("import os; os.environ['SHELL']").result == "'/bin/sh'"
        assert kernel.run("!echo said").text == "said\r\n"


# The folder of what runs in the environment, by its own name and no pattern.
OWN = "import os, shutil, sys\nown = os.path.dirname(sys.modules['_aca_remote'].__path__[0])"


@pytest.mark.parametrize(
    "removal", ["!rm -rf {own}; echo removed", "shutil.rmtree(own)", "os.system('rm -rf ' + own)"]
)
def test_all_goes_on_when_our_own_folder_was_removed(shared_kernel: Client, removal: str) -> None:
    kernel = shared_kernel
    kernel.run(OWN)
    kernel.run("%aca checkpoint")
    for _ in range(2):
        assert kernel.run(f"{removal}\n!echo in the same cell").text.endswith("same cell\r\n")
        assert kernel.run("x = !echo taken\nlist(x)").result == "['taken']"
    kernel.run(removal)
    assert kernel.run("%aca checkpoint").text.startswith("Stored ")
    kernel.run(removal)
    assert kernel.run("%aca status").of_type("display_data")
    kernel.run(removal)
    assert kernel.run("%aca restore").status == "ok"


def test_an_interrupt_and_a_second_front_end_reach_a_cell_that_removed_our_folder(
    shared_kernel: Client,
) -> None:
    kernel = shared_kernel
    kernel.run(OWN)
    left = "is_told = False\nwhile not is_told: pass"
    running = kernel.send(f"import time\nshutil.rmtree(own)\nprint('removed')\n{left}")
    kernel.wait_for_stream(running, "removed")
    kernel.run_in_subshell("is_told = True")
    assert kernel.collect(running).status == "ok"
    running = kernel.send("shutil.rmtree(own)\n!echo begun; sleep 100")
    kernel.wait_for_stream(running, "begun")
    kernel.interrupt()
    assert kernel.collect(running).status == "ok"
    assert kernel.run("_exit_code").result == "-2"


def test_a_remote_kernel_comes_again_after_our_folder_was_removed(shared_kernel: Client) -> None:
    kernel = shared_kernel
    kernel.run(OWN + "\nopen('kept', 'w').close()")
    kernel.run("%aca checkpoint")
    kernel.run("shutil.rmtree(own)\nos._exit(1)")
    assert kernel.run("!echo said").text == "said\r\n"
    kernel.run(OWN)
    # It is known still what was there before the notebook.
    assert " 1 file" in kernel.run("%aca checkpoint").text
    kernel.run("os.unlink('kept')")
