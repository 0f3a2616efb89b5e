"""The local half needs nothing that only Linux and macOS have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent

# The others go through the same code for a minute.
CORE = ("test_failures", "test_pacing", "test_interrupts")


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_module_can_be_imported() -> None:
    code = (
        "from tests.system import without_posix\n"
        "print(*without_posix.import_all())\n"
        "import sys; assert 'aca_kernel.system.on_windows' in sys.modules\n"
    )
    names = _run("-c", code).split()
    assert {"aca_kernel.app", "aca_kernel.kernel.driver", "aca_kernel.cli.run"} <= set(names)


def test_the_core_is_the_same() -> None:
    plugins = ("-p", "no:cacheprovider", "-p", "tests.system.without_posix")
    files = [str(TESTS / "kernel" / "core" / f"{name}.py") for name in CORE]
    said = _run("-m", "pytest", "-q", "-n", "0", *plugins, *files)
    assert " passed" in said
