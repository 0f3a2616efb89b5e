"""A Windows under Wine, and kernels in it that Linux speaks to by their connection files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from ..support import TIMEOUT, Client, eventually

PREPARE = Path(__file__).with_name("prepare")

# Where the Windows is made, and found again by the next run.
FOLDER = "ACA_TEST_WINDOWS"
DEFAULT_FOLDER = Path("~/.cache/aca-kernel-tests/windows")

# The first start of a program compiles what it imports, on a machine that does other things.
START_SECONDS = 240.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.wine)
            # The first one makes the Windows.
            item.add_marker(pytest.mark.timeout(900))


@dataclass
class Windows:
    """A Windows of Wine's. folder: as tests/windows/prepare makes it. env: to start programs."""

    folder: Path
    env: dict[str, str]

    @property
    def python(self) -> list[str]:
        """The words that start Python."""
        return ["wine", str(self.folder / "python" / "python.exe")]

    @property
    def drive_c(self) -> Path:
        return self.folder / "prefix" / "drive_c"

    def path(self, path: Path) -> str:
        """Return the name that a path of this machine has on Windows."""
        return "Z:" + str(path).replace("/", "\\")

    def start(self, *words: str, env: dict[str, str], **popen: Any) -> subprocess.Popen[bytes]:
        """Start Python with arguments. Its streams are pipes: Wine's Python takes no files."""
        return subprocess.Popen(
            [*self.python, *words],
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **popen,
        )

    def run(
        self, *words: str, env: dict[str, str], stdin: bytes = b"", cwd: Path | None = None
    ) -> tuple[int, bytes]:
        """Run Python; return its status and what it has said."""
        process = self.start(*words, env=env, cwd=cwd)
        said, _ = process.communicate(stdin, timeout=START_SECONDS)
        return process.returncode, said


@pytest.fixture(scope="session")
def windows() -> Windows:
    """Skips, with the reason, where there is no Windows and none can be made."""
    folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER).expanduser()
    done = subprocess.run(
        [sys.executable, PREPARE, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip((done.stdout.strip().splitlines() or ["no Windows"])[-1])
    variables = json.loads((folder / "env.json").read_text())
    # What this machine's Jupyter is told about its folders is not for Windows.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "PYTHON", "ACA_"))
    }
    return Windows(folder, {**kept, **variables})


class WindowsKernel(Client):
    """A kernel under Wine, without a manager. file: by which it is spoken to."""

    def __init__(
        self, client: BlockingKernelClient, process: subprocess.Popen[bytes], file: Path
    ) -> None:
        super().__init__(None, client)  # type: ignore[arg-type]  # nobody restarts it
        self.process = process
        self.file = file


@contextmanager
def windows_kernel(
    windows: Windows, folder: Path, data: Path, env: dict[str, str], *arguments: str
) -> Iterator[WindowsKernel]:
    """Start a kernel under Wine with a notebook's folder, and speak to it from here.

    It makes its connection file itself: its start takes long, and ports that were found free
    before would not be any more.
    """
    file = data / "connection.json"
    directories = {
        "JUPYTER_DATA_DIR": windows.path(data),
        "JUPYTER_RUNTIME_DIR": windows.path(data / "runtime"),
        # No handle. Without it Python asks for the parent, which is no process of Windows, and Wine
        # lacks what it asks by then.
        "JPY_PARENT_PID": "1",
    }
    words = ("-m", "aca_kernel", "-f", windows.path(file), *arguments)
    process = windows.start(*words, env={**directories, **env}, cwd=str(folder))
    assert process.stdin is not None
    assert process.stdout is not None
    output = process.stdout
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(output), daemon=True)
    reader.start()
    try:
        with connected(file, process) as client:
            yield WindowsKernel(client, process, file)
            if process.poll() is None:
                client.shutdown()
                process.wait(TIMEOUT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(TIMEOUT)
        reader.join(TIMEOUT)
        process.stdin.close()
        output.close()
        # pytest shows it of a test that has failed.
        print(b"".join(said).decode(errors="replace"))


@contextmanager
def connected(file: Path, process: subprocess.Popen[bytes]) -> Iterator[BlockingKernelClient]:
    """Connect to the kernel that writes a connection file. process: that, or its parent."""
    assert eventually(
        lambda: process.poll() is not None or (file.exists() and bool(file.read_text())),
        START_SECONDS,
    )
    assert process.poll() is None
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_SECONDS)
        yield client
    finally:
        client.stop_channels()
