"""`!` over a distance: what starts a command is sent with its cell, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from aca_kernel.kernel.shell_lines import shell_lines
from aca_kernel.pool.round_trip import KEPT_CALLS

from ..certificates import make_certificates
from ..far_line import Line
from ..support import Client, Pool, eventually, running_kernel, running_pool

SHELL = "runShellCommandInRemoteEnvironment"

OWN = "import os, shutil, sys\nown = os.path.dirname(sys.modules['_aca_remote'].__path__[0])"


@pytest.mark.parametrize(
    ("code", "commands"),
    [
        ("!ls -l", ["ls -l"]),
        ("  !ls\n!!pwd", ["ls", "pwd"]),
        ("x = !ls\na, b[0] = ! pwd", ["ls", "pwd"]),
        ("for n in range(3):\n    !echo {n}", ["echo {n}"]),
        ("%%time\n!ls", ["ls"]),
        ("%%writefile f\n!ls", []),
        ("x != y\nprint('a!')\nx = 1  # !", []),
        ("!", []),
    ],
)
def test_the_lines_of_a_cell(code: str, commands: list[str]) -> None:
    assert shell_lines(code) == commands


@pytest.fixture(scope="module")
def far_pool() -> Iterator[Pool]:
    with running_pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def far_kernel(far_pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    authority, certificate = make_certificates(str(tmp_path_factory.mktemp("tls")))
    line = Line(urlsplit(far_pool.endpoint).port or 0, certificate)
    line.delay = 0.02
    env = {**far_pool.env, "ACA_MCP_ENDPOINT": line.endpoint, "SSL_CERT_FILE": authority}
    with running_kernel(env) as client:
        for _ in range(KEPT_CALLS):
            client.run("1")
        # Here it is found out that the two tools run side by side.
        assert eventually(lambda: starts_ahead(far_pool, client))
        yield client
    line.close()


def starts_ahead(pool: Pool, kernel: Client) -> bool:
    """Run a command that takes a while; tell whether the next ones are started with their cell."""
    kernel.run("!sleep 0.5")
    before = shell_calls(pool)
    kernel.run("!true\n!true")
    return shell_calls(pool) == before + 1


def shell_calls(pool: Pool) -> int:
    return pool.calls().get(SHELL, 0)


def test_one_call_starts_all_commands_of_a_cell(far_pool: Pool, far_kernel: Client) -> None:
    far_kernel.run("1")
    before = shell_calls(far_pool)
    cell = far_kernel.run("for n in range(3):\n    !echo {n}\nx = !echo taken\nlist(x)")
    assert cell.text == "0\r\n1\r\n2\r\n"
    assert cell.result == "['taken']"
    assert shell_calls(far_pool) == before + 1


def test_outputs_and_exit_codes_keep_their_order(far_kernel: Client) -> None:
    code = "print('a')\n!echo b; exit 3\nprint(_exit_code)\n!echo c >&2\nprint('d', _exit_code)"
    assert far_kernel.run(code).text.replace("\r", "") == "a\nb\n3\nc\nd 0\n"


def test_output_is_live(far_kernel: Client) -> None:
    left = "while ! test -e seen; do sleep 0.05; done; rm seen; echo second"
    running = far_kernel.send(f"!echo first; {left}")
    far_kernel.wait_for_stream(running, "first")
    far_kernel.run_in_subshell("open('seen', 'w').close()")
    assert "second" in far_kernel.collect(running).text


def test_an_interrupt_ends_a_command(far_kernel: Client) -> None:
    running = far_kernel.send("!echo begun; sleep 100")
    far_kernel.wait_for_stream(running, "begun")
    far_kernel.interrupt()
    assert far_kernel.collect(running).status == "ok"
    assert far_kernel.run("_exit_code").result == "-2"


def test_what_starts_a_command_may_be_killed(far_kernel: Client) -> None:
    cell = far_kernel.run("!kill -KILL $PPID; sleep 100\n!echo next\n_exit_code")
    assert cell.text.endswith("next\r\n")
    assert cell.result == "0"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "status"])
def test_a_starter_that_does_not_come_is_asked_for(
    far_pool: Pool, far_kernel: Client, kind: str
) -> None:
    far_kernel.run("open('counted', 'w').close()")
    rule = {"status": 503} if kind == "status" else {}
    far_pool.fault(kind=kind, count=1, tool=SHELL, **rule)
    far_kernel.run("!echo once >> counted\n!echo twice >> counted")
    assert far_kernel.run("open('counted').read()").result == "'once\\ntwice\\n'"


def test_cells_that_are_queued_run_their_commands_in_order(far_kernel: Client) -> None:
    far_kernel.run("open('counted', 'w').close()")
    running = [far_kernel.send(f"!echo {n} >> counted") for n in range(4)]
    assert [far_kernel.collect(one).status for one in running] == ["ok"] * 4
    assert far_kernel.run("open('counted').read().split()").result == "['0', '1', '2', '3']"


def test_nothing_is_left_of_it(far_kernel: Client) -> None:
    """Neither FIFO nor process: of a cell with commands, and of one that did not come to them."""
    far_kernel.run(OWN)
    far_kernel.run("!true\nif False:\n    !echo never")
    far_kernel.run("if False:\n    !echo never")
    left = (
        "import glob, time\n"
        "def left():\n"
        "    lines = [open(one, 'rb').read() for one in glob.glob('/proc/[0-9]*/cmdline')]\n"
        "    return [one for one in lines if b'\\0ahead\\0' in one] + glob.glob(own + '/ahead-*')\n"
        "end = time.monotonic() + 30\n"
        "while left() and time.monotonic() < end:\n    time.sleep(0.05)\n"
        "left()"
    )
    assert far_kernel.run(left).result == "[]"


@pytest.mark.parametrize("removal", ["!rm -rf {own}; echo removed", "shutil.rmtree(own)"])
def test_all_goes_on_when_our_own_folder_was_removed(far_kernel: Client, removal: str) -> None:
    far_kernel.run(OWN)
    for _ in range(2):
        assert far_kernel.run(f"{removal}\n!echo in it").text.endswith("in it\r\n")
        assert far_kernel.run("x = !echo taken\nlist(x)").result == "['taken']"
