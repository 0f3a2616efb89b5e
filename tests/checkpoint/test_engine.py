"""Cells in IPython shells, with save and restore in between, behave as in one shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .notebooks import NOTEBOOKS
from .running import SHELLS, missing, run, shown

# All of them run in kernels cell by cell (test_expiry.py); these are quick in shells, too.
QUICK = ("plain", "classes", "numpy")


@pytest.mark.parametrize("name", QUICK)
def test_a_notebook_goes_on_in_another_process_after_each_cell(name: str, tmp_path: Path) -> None:
    cells = NOTEBOOKS[name]
    interrupted = run(cells, tmp_path)
    for cell in interrupted[1:]:
        assert missing(cell) == {}
    assert shown(interrupted) == shown(run(cells))
    # A notebook in which everything fails would pass, too.
    assert not any(error for _, _, error in shown(interrupted))


BAD = """
import threading, socket, io, os, sys, time
class Raises:
    def __reduce__(self): raise ValueError('not me')
class Hangs:
    def __reduce__(self):
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)
class Crashes:
    def __reduce__(self): os.kill(os.getpid(), 11)
class Exits:
    def __reduce__(self): raise SystemExit
class Ends:
    def __reduce__(self): os._exit(0)
class Prints:
    def __reduce__(self):
        print('printed'); sys.stderr.write('printed'); os.write(1, b'printed')
        global touched
        touched = True
        return (Prints, ())
class WillNotLoad:
    def __reduce__(self): return (int, ('x',))
class WouldEnd:
    def __reduce__(self): return (sys.exit, (3,))
touched = False
good = {'a': [1]}
raises, hangs, crashes, exits, ends, prints, will_not, would_end = (
    Raises(), Hangs(), Crashes(), Exits(), Ends(), Prints(), WillNotLoad(), WouldEnd())
holds = [good, Raises()]
generator = (x for x in range(3))
lock, thread, connection = threading.Lock(), threading.Thread(), socket.socket()
file = open(os.devnull)
deep = []
for _ in range(300_000): deep = [deep]
large = bytes(2_000_000)
def uses(): return good
uses.lock = lock
still = [uses]
"""


POOL = """
import queue, threading, time
class Pool:
    'Does work in a thread, which a fork does not take along.'
    def __init__(self):
        self.asked, self.answers = queue.Queue(), queue.Queue()
        threading.Thread(target=self.serve, daemon=True).start()
    def serve(self):
        while True: self.answers.put(self.asked.get())
    def do(self, work):
        self.asked.put(work)
        return self.answers.get()
pool = Pool()
class Model:
    def __init__(self, data): self.data, self.note = data, ['untouched']
    def __reduce__(self): return Model, (POOL().do(self.data),), {'note': self.note}
def POOL(): return pool
class Slow:
    def __reduce__(self): time.sleep(600)
precious, slow, shared = 'days of work', Slow(), ['in common']
models = [Model([number, shared]) for number in range(8)]
best, other = models[3], {'of': Model(shared), 'shared': shared}
for number in range(8): globals()[f'model{number}'] = Model(number)
best.note.append('touched')
"""


def test_what_waits_for_threads_is_stored_by_the_process_that_has_them(tmp_path: Path) -> None:
    after = (
        "print(precious, best is models[3], best.note, best.data, [m.data[0] for m in models])\n"
        "print(other['of'].data is shared is models[7].data[1], [model0.data, model7.data])"
    )
    began = time.monotonic()
    result = run([POOL, after], tmp_path, variable_seconds=1)
    assert result[1]["text"] == (
        "days of work True ['untouched', 'touched'] [3, ['in common']] [0, 1, 2, 3, 4, 5, 6, 7]\n"
        "True [0, 7]\n"
    )
    assert missing(result[1]) == {
        "pool": "it holds a lock, which cannot be stored, at `pool.asked.mutex` of a Queue",
        "slow": "cells would have to wait too long while it is stored",
    }
    # Two types hang for less than a second each, and what is slow gets its second.
    assert time.monotonic() - began < 20


def test_what_cannot_be_stored_is_named_and_spoils_nothing_else(tmp_path: Path) -> None:
    cells = [BAD, "print(good, touched, type(prints).__name__, 'raises' in dir(), _)"]
    result = run(cells, tmp_path, variable_bytes=1_000_000, variable_seconds=1)
    assert result[1]["text"] == "{'a': [1]} False Prints False 299999\n"
    reasons = missing(result[1])
    assert set(reasons) == {
        "raises", "hangs", "crashes", "exits", "ends", "will_not", "holds", "generator", "lock",
        "thread", "would_end", "connection", "file", "deep", "large", "uses", "still",
    }  # fmt: skip
    assert reasons["raises"] == "ValueError: not me"
    assert reasons["holds"] == "ValueError: not me, at `holds[1]`"
    assert reasons["hangs"] == "cells would have to wait too long while it is stored"
    assert reasons["crashes"] == "storing it crashed (signal 11)"
    assert reasons["ends"] == "storing it ended the process"
    assert reasons["would_end"] == "SystemExit: 3"
    assert reasons["generator"] == "it is, or holds, a generator, which cannot be stored"
    assert reasons["file"] == "it is, or holds, an open file"
    assert reasons["large"] == "it is larger than 1 MB"
    assert reasons["still"] == "it needs `uses`, which cannot be stored"
    assert reasons["will_not"].startswith("ValueError: invalid literal")


def test_the_largest_variables_are_left_out_when_all_are_too_large_together(
    tmp_path: Path,
) -> None:
    cells = [
        "small = b'1' * 1000\nmiddle = b'2' * 400_000\nlarge = b'3' * 700_000",
        "print([name for name in ('small', 'middle', 'large') if name in globals()])",
    ]
    result = run(cells, tmp_path, total_bytes=1_000_000)
    assert result[1]["text"] == "['small', 'middle']\n"
    assert missing(result[1]) == {"large": "the variables together are larger than 1 MB"}


def test_files_beyond_the_limit_are_left_out_by_name(tmp_path: Path) -> None:
    cells = [
        """
import os
open('small', 'w').write('s')
open('large', 'wb').write(bytes(2000))
os.mkfifo('pipe')
""",
        "print(sorted(os.listdir()))",
    ]
    result = run(cells, tmp_path, files_bytes=1000)
    assert result[1]["text"] == "['small']\n"
    assert set(missing(result[1])) == {"large", "pipe"}


def test_only_what_has_changed_is_written_anew(tmp_path: Path) -> None:
    cells = [
        """
import numpy as np, pandas as pd
df = pd.DataFrame(np.random.rand(250_000, 4), columns=list('abcd'))
numbers = {f'n{n}': n for n in range(1000)}
text = 'x' * 300_000
""",
        "1",
        "df['b'] = df['b'] + 1",
        "text += 'y'",
        "df.iloc[0, 0] = 5.0",
    ]
    written = [cell["new_bytes"] for cell in run(cells, tmp_path)]
    assert written[0] > 7_500_000
    # History, random states and the like: a few kilobytes.
    assert written[1] < 20_000
    assert 2_000_000 < written[2] < 3_500_000
    assert written[3] < 40_000
    assert written[4] < 3_500_000


def test_a_variable_of_its_own_comes_back_though_another_is_damaged(tmp_path: Path) -> None:
    """A group whose pieces are missing is named; the others are there."""
    working_directory = tmp_path / "work"
    working_directory.mkdir()
    code = (
        "import json, os, sys, tempfile\n"
        "from shells import new_shell, save_to\n"
        "from aca_kernel.remote.checkpoint.restore import load_manifest, restore\n"
        "shell, origin = new_shell()\n"
        "shell.run_cell('good = [1]; bad = list(range(5000)); uses = lambda: bad')\n"
        "folder = tempfile.mkdtemp()\n"
        "save_to(shell, origin, folder, {})\n"
        "manifest = load_manifest(folder + '/manifest')\n"
        "group = next(g for g in manifest['groups'] if g['names'] == [['bad']])\n"
        "del manifest['pack'][group['stream'][0]]\n"
        "shell.reset()\n"
        "report = restore(shell, origin, manifest, folder + '/pack')\n"
        "print(json.dumps([report['missing'], report['variables'], shell.user_ns['good']]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SHELLS.parent), "TMPDIR": str(tmp_path)},
        # Not where the checkpoint is: it would be one of the notebook's files.
        cwd=working_directory,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    missing, variables, good = json.loads(done.stdout.splitlines()[-1])
    assert missing == [["bad", "DamagedPiece: a part of it is missing"]]
    assert (variables, good) == (2, [1])


def test_large_arrays_come_back_with_memory_of_their_own(tmp_path: Path) -> None:
    """As they were to the last flag, whichever way their memory came."""
    cells = [
        """
import hashlib, numpy as np, pandas as pd
numbers = np.random.default_rng(0)
plain = numbers.random(1_000_000)
matrix = numbers.random((1000, 1000))
columns = np.asfortranarray(numbers.random((1000, 1000)))
fixed = numbers.integers(0, 9, 1_000_000); fixed.flags.writeable = False
records = np.zeros(500_000, [('a', 'i4'), ('b', 'f8')]); records['b'] = 1.5
dates = np.arange(1_000_000).astype('M8[s]')
part = matrix[10:20]
frame = pd.DataFrame(numbers.random((250_000, 4)), columns=list('abcd'))
def told(a):
    flags = [name for name in a.flags.__dir__() if name.islower() and name[0] != '_']
    data = hashlib.sha256(a.tobytes()).hexdigest()
    return data, a.dtype, a.shape, a.strides, a.base is None, [getattr(a.flags, n) for n in flags]
def all_told():
    for one in (plain, matrix, columns, fixed, records, dates, part): print(told(one))
    print(frame.sum(), part.base is matrix)
all_told()
""",
        # Since Python 3.14 numpy cannot tell that nobody else has it.
        f"all_told(); plain.resize(5, refcheck={sys.version_info < (3, 14)}); print(plain)",
    ]
    first, second = run(cells, tmp_path)
    assert (first["error"], second["error"]) == ("", "")
    assert second["text"].startswith(first["text"])
    assert missing(second) == {}


@pytest.mark.parametrize("is_checked", [False, True])
def test_a_damaged_piece_is_named_and_the_rest_comes(tmp_path: Path, is_checked: bool) -> None:
    """Whether the kernel on the user's machine has found it, or nobody has looked."""
    code = f"""
import json, os
from shells import new_shell, save_to
from aca_kernel.remote.checkpoint.restore import load_manifest, restore
shell, origin = new_shell()
shell.run_cell("import os, numpy as np\\ngood, bad = (np.frombuffer(os.urandom(9_000_000), 'u1')"
               ".copy() for _ in range(2)); total = int(good.sum())")
os.mkdir('../state')
save_to(shell, origin, '../state', {{}})
manifest = load_manifest('../state/manifest')
group = next(one for one in manifest['groups'] if one['names'] == [['bad']])
name = group['buffers'][0][1][-1]
if {is_checked}:
    manifest['damaged'] = [name]
else:
    with open('../state/pack', 'r+b') as pack:
        pack.seek(manifest['pack'][name][0] + 9)
        byte = pack.read(1)
        pack.seek(-1, 1)
        pack.write(bytes([byte[0] ^ 1]))
shell.reset()
report = restore(shell, origin, manifest, '../state/pack')
print(dict(report['missing'])['bad'])
print(int(shell.user_ns['good'].sum()) == shell.user_ns['total'])
"""
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SHELLS.parent)},
        cwd=tmp_path / "work",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["DamagedPiece: a part of it is damaged", "True"]


def test_of_another_python_version_come_modules_and_files(tmp_path: Path) -> None:
    code = """
import json, os, sys
from shells import new_shell, save_to
from aca_kernel.remote.checkpoint.restore import load_manifest, restore
shell, origin = new_shell()
shell.run_cell("import os, math as m\\nx = 1; open('f', 'w').write('kept'); os.environ['V'] = '1'")
os.mkdir('state')
save_to(shell, origin, 'state', {})
manifest = load_manifest('state/manifest')
manifest['python'] = [3, 8]
shell.reset(); os.unlink('f'); del os.environ['V']
report = restore(shell, origin, manifest, 'state/pack')
left = [name in shell.user_ns for name in ('m', 'x')]
print(json.dumps([report['python'], left, open('f').read(), os.environ['V']]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SHELLS.parent)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == ["3.8", [True, False], "kept", "1"]


def test_another_hash_seed_is_named(tmp_path: Path) -> None:
    """As for a checkpoint that was kept, and a kernel that has begun with a seed of its own."""
    store = """
from shells import new_shell, save_to
shell, origin = new_shell()
shell.run_cell("words = {'a', 'b'}")
save_to(shell, origin, '../state', {})
"""
    load = """
from shells import new_shell, restore_from
print(restore_from(*new_shell(), '../state')['missing'])
"""
    (tmp_path / "state").mkdir()
    (tmp_path / "work").mkdir()
    told = []
    for seed, code in (("1", store), ("2", load), ("1", load)):
        env = {**os.environ, "PYTHONPATH": str(SHELLS.parent), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / "work",
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        told.append(done.stdout.strip())
    reason = "this process hashes with another seed"
    assert told == ["", f"[('the order of sets of texts', '{reason}')]", "[]"]
