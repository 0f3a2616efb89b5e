"""Runs cells in IPython shells, each in a process of its own, with a checkpoint in between.

A program: reads lines of {"cells", "folder", "cwd", "limits"} from stdin, and for each writes a
line to stdout: what the cells showed, null if it could not be found out. With a folder, each cell
runs in a new process that restores what the one before it had stored; without one, all run in one
process. Processes are forked off one that has imported IPython and nothing else.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from aca_kernel.remote.origin import Origin, remember

# Before any cell, as in the remote kernel.
from aca_kernel.remote.originals import json, os


def run_cell(shell: Any, code: str) -> dict[str, Any]:
    shell.displayhook.exec_result = None
    with capture_output(display=True) as captured:
        result = shell.run_cell(code, store_history=True)
    error = result.error_in_exec or result.error_before_exec
    return {
        "text": captured.stdout,
        "images": len([one for one in captured.outputs if "image/png" in one.data]),
        "error": f"{type(error).__name__}: {error}" if error else "",
    }


def new_shell() -> tuple[Any, Origin]:
    sys.argv = ["shell"]
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    return shell, remember()


def restore_from(shell: Any, origin: Origin, folder: str) -> dict[str, Any]:
    from aca_kernel.remote.checkpoint.restore import load_manifest, restore

    return restore(
        shell,
        origin,
        load_manifest(os.path.join(folder, "manifest")),
        os.path.join(folder, "pack"),
    )


def save_to(shell: Any, origin: Origin, folder: str, limits: dict[str, Any]) -> None:
    from aca_kernel.remote.checkpoint.hanging import Hanging
    from aca_kernel.remote.checkpoint.save import CheckpointJob, Limits, start

    again = True
    allowed = {"variable_bytes": 10**8, "total_bytes": 10**9, "files_bytes": 10**7, **limits}
    hanging = Hanging()
    while True:
        job = CheckpointJob(shell, origin, folder, Limits(**allowed), set(), hanging=hanging)
        pid = start(job)
        if pid and os.waitpid(pid, 0)[1]:
            with open(os.path.join(folder, "failure")) as file:
                raise RuntimeError(file.read())
        # As the kernel does: what hangs in the copy comes the second time.
        if not hanging.learn(folder) or not again:
            return
        again = False
        os.unlink(os.path.join(folder, "manifest"))


def step(code: str, before: str, after: str, limits: dict[str, Any]) -> dict[str, Any]:
    shell, origin = new_shell()
    report = restore_from(shell, origin, before) if before else {}
    shown = run_cell(shell, code)
    save_to(shell, origin, after, limits)
    return {**shown, "report": report, "new_bytes": new_bytes(before, after)}


def new_bytes(before: str, after: str) -> int:
    """Return how much would be sent to somebody who has the checkpoint before this one."""
    packs: list[dict[str, Any]] = []
    for folder in (before, after):
        with open(os.path.join(folder, "manifest") if folder else os.devnull) as file:
            packs.append(json.loads(file.read() or '{"pack": {}}')["pack"])
    return sum(length for name, (_, length) in packs[1].items() if name not in packs[0])


def in_fork(action: Any, *arguments: Any) -> Any:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            with open(writing, "w") as file:
                json.dump(action(*arguments), file)
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text or "null")


def uninterrupted(cells: list[str]) -> list[dict[str, Any]]:
    shell, _ = new_shell()
    return [run_cell(shell, code) for code in cells]


def answer(asked: dict[str, Any]) -> list[dict[str, Any]]:
    os.chdir(asked["cwd"])
    with open(os.devnull) as nothing:  # where the next question would be
        os.dup2(nothing.fileno(), 0)
    if not asked["folder"]:
        return list(in_fork(uninterrupted, asked["cells"]))
    shown, before = [], ""
    for code in asked["cells"]:
        after = tempfile.mkdtemp(dir=asked["folder"])
        # A new environment has the same working directory, with nothing in it.
        work = os.path.join(asked["folder"], "work")
        os.mkdir(work)
        os.chdir(work)
        shown.append(in_fork(step, code, before, after, asked["limits"]))
        os.rename(work, after + "-work")
        before = after
    return shown


def main() -> None:
    for line in sys.stdin:
        # What is asked for later finds nothing of this.
        sys.stdout.write(json.dumps(in_fork(answer, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
