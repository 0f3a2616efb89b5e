"""ipykernel's own tests that drive a kernel as a client: this kernel fares as ipykernel does.

They are taken from the source distribution of the installed ipykernel when this test runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

# test_comm.py has no test that goes through a client: those of comms are in
# test_kernel.py and test_subshells.py.
FILES = (
    "test_kernel.py",
    "test_message_spec.py",
    "test_subshells.py",
    "test_debugger.py",
    "test_async.py",
)

# What must differ, and why. An entry that does not differ any more fails the test.
DIFFERENCES = {
    "tests/test_kernel.py::test_save_history": (
        "The cell writes a file and the test opens it: the cell's files are in its environment, "
        "the test's are on this machine."
    ),
    "tests/test_kernel.py::test_parent_header_and_ident": (
        "The cell prints the identity of the socket its request came from: the front end's "
        "socket ends at this kernel, the remote kernel's peer is the agent."
    ),
    "tests/test_message_spec.py::test_kernel_info_request": (
        "implementation_version must be at least 2.1, which IPython's is: ours is our own."
    ),
}

# What differs on some machines only, and why.
MAY_DIFFER = {
    "tests/test_kernel.py::test_sys_path_profile_dir": (
        "The kernel is given a profile folder in this machine's home. Its environment can make a "
        "folder of that name only where the Python it shows lies below that home too."
    ),
}

# Its options are not ours: pytest.ini of the folder it runs in.
CONFIGURATION = """\
[pytest]
addopts = --color=no -p no:cacheprovider
timeout = 60
markers =
    flaky: run again by a plug-in that is not needed here
"""

# 100 tests, about 2 min; each is bounded by the timeout above.
RUN_SECONDS = 600

# A test that does not pass is run again, and with ipykernel: many of them measure time, on a
# machine that does other things too.
REPETITIONS = 2

Results = dict[str, list[str]]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with ipykernel's `tests` package and what its runs need."""
    folder = tmp_path_factory.mktemp("ipykernel")
    requirement = f"ipykernel=={metadata.version('ipykernel')}"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         # Its metadata is made with the hatchling that is here: no environment is built for it.
         "--no-deps", "--no-binary", "ipykernel", "--no-build-isolation",
         "--dest", folder, requirement],
        check=True,
        timeout=300,
    )  # fmt: skip
    (archive,) = folder.glob("ipykernel-*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            # Only the tests: the package itself is to be the installed one.
            _, _, member.name = member.name.partition("/")
            if member.isfile() and member.name.startswith("tests/"):
                tar.extract(member, folder, filter="data")
    plugin = Path(__file__).with_name("ipykernel_suite_plugin.py")
    shutil.copy(plugin, folder)
    (folder / "pytest.ini").write_text(CONFIGURATION)
    # One of the tests asks for the path of the default profile.
    (folder / "ipython" / "profile_default").mkdir(parents=True)
    return folder


class Run:
    """One run of some of the tests against one kernel."""

    def __init__(self, suite: Path, kernel: str, tests: list[str]) -> None:
        self._kernel = kernel
        self._results = suite / f"{kernel}.json"
        self._results.unlink(missing_ok=True)
        self._log = suite / f"{kernel}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "ipykernel_suite_plugin", *tests],
                cwd=suite,
                env={
                    **os.environ,
                    "SUITE_KERNEL": kernel,
                    "SUITE_RESULTS": str(self._results),
                    "IPYTHONDIR": str(suite / "ipython"),
                    "PYTHONPATH": str(suite),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def results(self) -> Results:
        try:
            self._process.wait(RUN_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
        assert self._results.exists(), self._log.read_text(errors="replace")[-5000:]
        return dict(json.loads(self._results.read_text()))


def differing(ours: Results, theirs: Results) -> list[str]:
    """List the tests that do not pass here and end otherwise with ipykernel."""
    return [test for test in sorted(theirs) if ours[test][0] != theirs[test][0]]


@pytest.mark.timeout(2 * RUN_SECONDS)
def test_each_of_them_ends_as_with_ipykernel(suite: Path) -> None:
    ours = Run(suite, "aca", [f"tests/{name}" for name in FILES]).results()
    for is_last in (*[False] * REPETITIONS, True):
        # What passes needs no comparison.
        others = [test for test, (outcome, _) in ours.items() if outcome != "passed"]
        theirs = Run(suite, "python3", others).results()
        unexplained = set(differing(ours, theirs)) - set(DIFFERENCES) - set(MAY_DIFFER)
        if is_last or not unexplained:
            break
        ours.update(Run(suite, "aca", sorted(unexplained)).results())
    for test in differing(ours, theirs):
        print(f"{test}: {ours[test][0]}, with ipykernel {theirs[test][0]}\n{ours[test][1]}\n")
    outcomes = [outcome for outcome, _ in ours.values()]
    # Otherwise it proves nothing: that they end alike is easy when none can run.
    assert outcomes.count("passed") > 0.8 * len(outcomes) > 50
    assert set(differing(ours, theirs)) - set(MAY_DIFFER) == set(DIFFERENCES)
