"""A virtual environment of a part, and what runs in it with one of the two kernels.

Tools and suites ask for the kernel `python3`. For `aca` they find a kernelspec of that name first
(JUPYTER_PATH) which starts this kernel, so that nothing in them has to be changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

KERNELS = ("python3", "aca")

# pip's builds included.
_INSTALL_SECONDS = 1800

# How a check ended, by its name: "passed", "failed", "skipped", or what was seen.
Results = dict[str, str]


@dataclass(frozen=True)
class Place:
    """A folder for one run of a part with one kernel, and the Python of the part."""

    kernel: str
    folder: Path
    python: Path

    @property
    def env(self) -> dict[str, str]:
        """The variables of the run: nothing of this user's Jupyter."""
        kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept |= {
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        if self.kernel == "aca":
            kept["JUPYTER_PATH"] = str(self._kernelspecs())
        return kept

    def check(self) -> None:
        """Raise RuntimeError unless `python3` is the kernel that is meant."""
        code = "from jupyter_client.kernelspec import get_kernel_spec as spec; "
        code += "print(spec('python3').argv)"
        words = [self.python, "-c", code]
        printed = subprocess.run(words, env=self.env, capture_output=True, text=True, check=True)
        if ("aca_kernel" in printed.stdout) is not (self.kernel == "aca"):
            raise RuntimeError(f"{self.kernel} would be {printed.stdout}")

    def _kernelspecs(self) -> Path:
        folder = self.folder / "kernelspecs"
        target = folder / "kernels" / "python3"
        if not target.exists():
            source = self.python.parents[1] / "share" / "jupyter" / "kernels" / "aca"
            shutil.copytree(source, target)
            spec = json.loads((target / "kernel.json").read_text())
            spec["argv"][0] = str(self.python)
            (target / "kernel.json").write_text(json.dumps(spec))
        return folder

    def run(self, *words: str | Path, cwd: Path, seconds: float) -> tuple[int, str]:
        """Run the part's Python; return its exit status and what it has printed."""
        done = subprocess.run(
            [self.python, *words],
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        return done.returncode, done.stdout


def _is_ours(name: str) -> bool:
    return name.startswith(("ACA_", "JUPYTER_", "PYTEST_", "AZURE_")) or name == "PYTHONPATH"


def make_python(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Make or take a virtual environment with these packages; install this checkout's kernel."""
    python = folder / "bin" / "python"
    done = folder / "requirements.txt"
    wanted = "\n".join(requirements)
    install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([*install, *requirements, ROOT], check=True, timeout=_INSTALL_SECONDS)
        done.write_text(wanted)
    again = ("--force-reinstall", "--no-deps", ROOT)
    subprocess.run([*install, *again], check=True, timeout=_INSTALL_SECONDS)
    return python


def source_of(requirement: str, folder: Path) -> Path:
    """Fetch the source distribution of a pinned package; return its folder."""
    name = requirement.partition("==")[0]
    found = sorted(folder.glob(f"{name}-*/"))
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        words = ["-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
        words += ["--no-binary", name, "--dest", str(folder), requirement]
        subprocess.run([sys.executable, *words], check=True, timeout=_INSTALL_SECONDS)
        (archive,) = folder.glob(f"{name}-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        found = sorted(folder.glob(f"{name}-*/"))
    return found[0]
