"""What a cell should not do and does: reply and outputs as ipykernel gives them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..comparison import LATE_SECONDS, Pair, errors, run, running_pair, take_late_output
from ..support import Cell, Client

# 50 MB through a machine with other work to do.
LARGE_TIMEOUT = 120.0


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running_pair() as one:
        yield one


SIZES = {
    "a source of 1 MB in one line": f"text = '{'x' * 1_000_000}'\nlen(text)",
    "a source of 1 MB in many lines": "\n".join(f"name_{n} = {n}" for n in range(50_000)),
    "50 MB of output at once": "print('x' * 50_000_000)",
    "10 MB of output in lines": "for n in range(100_000): print('line', n, 'y' * 90)",
    "100,000 small prints": "for n in range(100_000): print(n)",
    "100,000 small prints without a line's end": "for n in range(100_000): print(n, end='')",
    "30,000 small prints that are flushed": "for n in range(30_000): print(n, flush=True)",
    "a display of 20 MB": (
        "from IPython.display import display\n"
        "display({'application/x-large': 'z' * 20_000_000, 'text/plain': 'large'}, raw=True)"
    ),
    "a result of 5 MB": "'q' * 5_000_000",
    "2,000 displays": "from IPython.display import display\nfor n in range(2000): display(n)",
    "an exception whose text is 3 MB": "raise ValueError('e' * 3_000_000)",
    "an integer too long to print": "10 ** 5000",
}

# A frame of ours with a checksum that fits, and one that does not.
FRAME = "~aca1:0123456789ab:r:12:00000000:AAAAAAAAAAAA~"

TEXTS = {
    "half a surrogate pair in a display": (
        "from IPython.display import display\n"
        "display({'text/plain': 'half \\ud800'}, raw=True)\nprint('after')"
    ),
    "half a surrogate pair in a result": "'half \\ud800'",
    "half a surrogate pair in a repr": (
        "class Half:\n    def __repr__(self): return 'half \\ud800'\nHalf()"
    ),
    "half a surrogate pair in an exception": "raise ValueError('half \\ud800')",
    "NUL in the output": "print('a\\0b')",
    "NUL in a string of the source": "text = 'a\0b'\nlen(text)",
    "NUL in the source": "x = 1\0\n",
    "a frame in the output": f"print('{FRAME}')",
    "the answer of an environment without an agent": "print('~aca1:none~')",
    "the beginning of a frame": "print('~aca1:')",
    "a frame in the source": f"'{FRAME} <IDS|MSG>'",
    "Jupyter's own delimiter": "print('<IDS|MSG>'); print(b'<IDS|MSG>'); '<IDS|MSG>'",
    "control characters": "print('a\\rb\\r\\nc\\x08d \\x1b[31mred\\x1b[0m \\u202e')",
    "every plane of Unicode": "print('é ü 日本 🎉 \\U0010ffff')",
    "bytes that are no text": "import os; os.write(1, bytes(range(256)));",
    "a syntax error": "def (:",
    "sys.exit": "import sys; sys.exit(3)",
}

STREAMS = {
    "sys.stdout replaced for a while": (
        "import io, sys\nkept, sys.stdout = sys.stdout, io.StringIO()\nprint('hidden')\n"
        "text, sys.stdout = sys.stdout.getvalue(), kept\nprint(text)"
    ),
    "sys.stdout missing for a while": (
        "import sys\nkept, sys.stdout = sys.stdout, None\nprint('hidden')\n"
        "sys.stdout = kept\nprint('seen')"
    ),
    "a write to the descriptors": (
        "import os; os.write(1, b'low level\\n'); os.write(2, b'low error\\n');"
    ),
    "1 MB written to the descriptor": (
        "import os\nfor _ in range(1000): os.write(1, b'0123456789' * 100)"
    ),
    "os.system": "import os; os.system('echo from system; echo error >&2');",
    "subprocess": "import subprocess; subprocess.run(['sh', '-c', 'echo out; echo err >&2']);",
    "printf of the C library": (
        "import ctypes\nlibrary = ctypes.CDLL(None)\n"
        "library.printf(b'from printf\\n'); library.fflush(None);"
    ),
}

# Its output, put together, in no order: what runs side by side prints as it happens to.
UNORDERED = {
    "forked children that print": (
        "import os\nchildren = []\n"
        "for n in range(5):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n        print('child', n, flush=True)\n        os._exit(0)\n"
        "    children.append(child)\n"
        "for child in children: os.waitpid(child, 0)\n"
        "print('parent')"
    ),
    "20 threads that print": (
        "import threading\n"
        "def work(n):\n    for m in range(200): print(f'{n}:{m}')\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()"
    ),
}

# What remains of the streams is of no use to the cells that follow.
BROKEN = {
    "sys.stdout closed": "import sys; sys.stdout.close()",
    "sys.stdout set to None": "import sys; sys.stdout = None",
    "sys.stderr set to None": "import sys; sys.stderr = None; 1 / 0",
    "half a surrogate pair in the source": "text = 'half \ud800'\nlen(text)",
}


@pytest.mark.parametrize("name", SIZES)
def test_size_changes_nothing(pair: Pair, name: str) -> None:
    pair.check(SIZES[name], timeout=LARGE_TIMEOUT)
    pair.check_next()


@pytest.mark.parametrize("name", TEXTS)
def test_text_passes_as_it_is(pair: Pair, name: str) -> None:
    pair.check(TEXTS[name])
    pair.check_next()


@pytest.mark.parametrize("name", STREAMS)
def test_output_is_caught_wherever_it_is_written(pair: Pair, name: str) -> None:
    pair.check(STREAMS[name])
    pair.check_next()


@pytest.mark.parametrize("name", UNORDERED)
def test_output_of_many_is_complete(pair: Pair, name: str) -> None:
    pair.check(UNORDERED[name], key=lambda cell: sorted(cell.text))
    pair.check_next()


def test_output_that_is_being_sent_when_its_cell_ends_comes_before_the_end(pair: Pair) -> None:
    pair.ours.run("import sys, time")
    # It is sent by a thread some 20 ms after it was written: the cell ends before, during
    # and after that.
    for milliseconds in range(15, 30):
        cell = pair.ours.run(
            f"sys.stdout.write('x' * 3_000_000)\ntime.sleep({milliseconds} / 1000)"
        )
        assert len(cell.text) == 3_000_000


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_half_a_surrogate_pair_that_is_printed_is_refused_as_by_ipykernel(
    pair: Pair, stream: str
) -> None:
    code = f"import sys\nprint('before')\nprint('half \\ud800', file=sys.{stream})\nprint('after')"

    def complaint(client: Client) -> tuple[str, str, str]:
        """Return its last line: the others name the callback that wrote it, whichever that was."""
        cell = run(client, code)
        deadline = time.monotonic() + LATE_SECONDS
        # A thread of ipykernel writes it: what comes after the cell comes with the next request.
        while "Error" not in last_line(cell) and time.monotonic() < deadline:
            client.ask("comm_info_request", {})
            take_late_output(client, cell)
        return cell.status, cell.text, last_line(cell)

    def last_line(cell: Cell) -> str:
        return cell.stream("stderr").rstrip().rpartition("\n")[2]

    status, _text, line = pair.both(complaint)
    assert status == "ok"
    assert line.startswith("UnicodeEncodeError: ")
    pair.check_next()


RECURSION = {
    "a function": "def deeper(n): return deeper(n + 1)\ndeeper(0)",
    "a repr": "nested = []\nfor _ in range(100_000): nested = [nested]\nrepr(nested)",
}


@pytest.mark.parametrize("name", RECURSION)
def test_recursion_without_end_is_an_error(pair: Pair, name: str) -> None:
    # Not the traceback: it starts some frames further in.
    pair.check(RECURSION[name], key=errors)
    pair.check_next()


@pytest.fixture(scope="module")
def pair_to_break() -> Iterator[Pair]:
    """Two kernels that each test restarts."""
    with running_pair() as one:
        yield one


@pytest.mark.parametrize("name", BROKEN)
def test_a_kernel_without_its_streams_fares_as_ipykernel(pair_to_break: Pair, name: str) -> None:
    pair_to_break.check(BROKEN[name])
    pair_to_break.check("print('once more')")
    for client in (pair_to_break.ours, pair_to_break.theirs):
        client.restart()
    pair_to_break.check_next()


def peak_megabytes(client: Client) -> float:
    """The most memory that the local process has had so far."""
    status = Path(f"/proc/{client.manager.provisioner.process.pid}/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


MEMORY = {
    "in lines": ("for n in range(500_000): print('x' * 99)", 40),
    # One message, of which there is a copy on either side and one in between.
    "in one piece": ("print('x' * 50_000_000)", 200),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_of_the_local_kernel_is_bounded_while_50_mb_pass(kernel: Client, name: str) -> None:
    code, megabytes = MEMORY[name]
    kernel.run("1")
    before = peak_megabytes(kernel)
    msg_id = kernel.send(code)
    length = 0
    for message in kernel.messages_until_idle(msg_id, time.monotonic() + LARGE_TIMEOUT):
        length += len(message["content"].get("text", ""))
    assert length >= 50_000_000
    assert peak_megabytes(kernel) - before < megabytes
