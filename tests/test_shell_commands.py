"""`!`: IPython parses it, the shell tool runs it."""

from __future__ import annotations

from .support import Client, Pool

SHELL = "runShellCommandInRemoteEnvironment"


def test_a_command_goes_to_the_shell_tool(pool: Pool, pool_kernel: Client) -> None:
    pool_kernel.run("1")
    assert pool.calls().get(SHELL, 0) == 0
    assert pool_kernel.run("!echo hello").text == "hello\r\n"
    assert pool.calls()[SHELL] == 1


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


def test_a_lost_answer_does_not_run_it_twice(pool: Pool, pool_kernel: Client) -> None:
    pool_kernel.run("1")
    pool.fault(kind="drop_after", count=1, tool=SHELL)
    pool_kernel.run("!echo once >> counted")
    assert pool_kernel.run("x = !cat counted\nlist(x)").result == "['once']"


MANY_DESCRIPTORS = """
import os, resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
"""


def test_more_descriptors_than_select_can_take(kernel: Client) -> None:
    kernel.run(MANY_DESCRIPTORS)
    assert kernel.run("!echo many").text == "many\r\n"
    assert kernel.run("x = !echo taken\nlist(x)").result == "['taken']"
    assert kernel.run("os.system('echo below')").text == "below\n"
    assert kernel.run("%aca checkpoint").text.startswith("Stored ")
