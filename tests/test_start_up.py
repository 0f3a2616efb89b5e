"""A kernel starts without what only commands, or rare requests, need."""

from __future__ import annotations

import subprocess
import sys

# Each of them would take tens of milliseconds of every kernel's start.
NOT_NEEDED = {"filelock", "httpx", "pathspec", "rich"}


def test_the_kernels_program_does_not_import_them() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aca_kernel", "--help-all"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "aca_kernel.app" in imported
    assert not NOT_NEEDED & imported


def test_the_kernels_modules_do_not_import_them() -> None:
    code = (
        "import sys, aca_kernel.app, aca_kernel.kernel.driver, aca_kernel.pool.embedded_backend\n"
        f"print(sorted({NOT_NEEDED} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
