"""`python -m tests.clients.foreign [PART…]`: foreign tools and suites, with both kernels.

Each part is run with ipykernel's kernel and with this one, in virtual environments of its own with
pinned versions, and what differs is listed. It takes half an hour for all, and a gigabyte of disk
in `--folder` (a temporary one otherwise), where environments and logs stay for the next run.

What is known to differ is in differences.py with its reason; anything else makes the exit status 1.
A known difference that was not seen is named, too.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import extensions, tools
from .differences import DIFFERENCES
from .place import KERNELS, Place, Results, make_python
from .suites import Suite

# Of suites: many tests measure time, on a machine that does other things too.
_REPETITIONS = 2

_PYTEST = ("pytest==9.0.2", "pytest-timeout==2.4.0", "ipykernel==7.3.0", "ipywidgets==8.1.8")

_CLOUD_FREE = (
    *("autosave", "cli", "clientwrap", "engines", "exceptions", "execute", "inspect"),
    *("parameterize", "utils"),
)


@dataclass(frozen=True)
class Part:
    """One row of the table. requirements: the first is what is tried."""

    requirements: tuple[str, ...]
    run: Callable[[Place], Results]
    suite: Suite | None = None


def parts_of(testbook: Path | None) -> dict[str, Part]:
    """Return all parts by name. testbook: a checkout of it, whose tests are in no package."""
    suites = {
        "nbclient": Part(
            (
                "nbclient==0.11.0",
                *_PYTEST,
                "pytest-asyncio==1.3.0",
                "nbconvert==7.17.2",
                "testpath==0.6.0",
                "xmltodict==1.0.2",
                "flaky==3.8.1",
            ),
            *_suite("nbclient==0.11.0", ("tests",)),
        ),
        "papermill": Part(
            (
                "papermill==2.7.0",
                *_PYTEST,
                "pytest-mock==3.15.1",
                "pytest-env==1.2.0",
                "boto3",
                "moto",
                "attrs",
            ),
            *_suite(
                "papermill==2.7.0",
                tuple(f"papermill/tests/test_{name}.py" for name in _CLOUD_FREE),
            ),
        ),
        "jupyter_client": Part(
            ("jupyter_client==8.10.0", *_PYTEST, "pytest-jupyter[client]==0.11.0"),
            *_suite("jupyter_client==8.10.0", ("tests",)),
        ),
    }
    if testbook is not None:
        suites["testbook"] = Part(
            ("testbook==0.4.2", *_PYTEST, "pandas", "xmltodict==1.0.2"),
            *_suite("testbook==0.4.2", ("testbook/tests",), testbook),
        )
    plot = ("matplotlib",)
    lab = ("jupyterlab==4.6.6", "ipykernel==7.4.0", "pandas")
    others = {
        "nbmake": Part(("nbmake==1.5.5", *_PYTEST, *plot), tools.nbmake),
        "nbval": Part(("nbval==0.11.0", *_PYTEST, *plot, "nbclient==0.11.0"), tools.nbval),
        "jupyter-book": Part(
            ("jupyter-book==1.0.4.post1", "jupyter-cache==1.0.1", *plot), tools.jupyter_book
        ),
        "voila": Part(("voila==0.5.13", "ipywidgets==8.1.8", *plot), tools.voila),
        "kernel-gateway": Part(("jupyter_kernel_gateway==3.0.1", *plot), tools.kernel_gateway),
        "variable-inspector": Part(
            ("lckr_jupyterlab_variableinspector==3.2.4", *lab), extensions.variable_inspector
        ),
        "resource-usage": Part(
            ("jupyter-resource-usage==1.3.0", "psutil", *lab), extensions.resource_usage
        ),
    }
    return {**suites, **others}


def _suite(
    package: str, files: tuple[str, ...], source: Path | None = None
) -> tuple[Callable[[Place], Results], Suite]:
    suite = Suite(package, files, source)
    return suite.run, suite


def main() -> int:
    """Run parts, print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients.foreign", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all, if none is named")
    parser.add_argument("--folder", type=Path, help="keep environments and logs here")
    parser.add_argument("--testbook", type=Path, help="a checkout of testbook, for its suite")
    options = parser.parse_args()
    parts = parts_of(options.testbook)
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    if not shutil.which("chromium"):
        for name in ("voila", "variable-inspector", "resource-usage"):
            parts.pop(name)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="foreign-"))
    rows, is_as_known = [], True
    for name in options.parts or parts:
        seen = run_part(name, folder / name, parts[name])
        row, is_known = report(name, parts[name], seen)
        rows.append(row)
        is_as_known = is_as_known and is_known
    print("\n| tool | version | python3 | aca | differences |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))
    return 0 if is_as_known else 1


def run_part(name: str, folder: Path, part: Part) -> dict[str, Results]:
    """Run a part with each kernel; return the results by kernel."""
    python = make_python(folder / "venv", part.requirements)
    places = {kernel: Place(kernel, folder / kernel, python) for kernel in KERNELS}
    for place in places.values():
        place.check()
    seen = {kernel: part.run(place) for kernel, place in places.items()}
    for _ in range(_REPETITIONS):
        known = DIFFERENCES.get(name, {})
        again = [one for one in differing(seen) if one not in known]
        if part.suite is None or not again:
            break
        files = part.suite.files_of(places["aca"], again)
        for kernel, place in places.items():
            more = part.suite.run_some(place, files)
            seen[kernel] |= {test: end for test, end in more.items() if end == "passed"}
    return seen


def differing(seen: dict[str, Results]) -> list[str]:
    """Return the names of checks that ended differently."""
    ours, theirs = seen["aca"], seen["python3"]
    return [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]


def report(name: str, part: Part, seen: dict[str, Results]) -> tuple[str, bool]:
    """Print what differs; return the row of the table, and whether all of it is known."""
    known = DIFFERENCES.get(name, {})
    found = differing(seen)
    unknown = [one for one in found if one not in known]
    for one in found:
        print(f"\n{name}: {one}: {known.get(one, 'NOT KNOWN')}")
        for kernel in KERNELS:
            print(f"  {kernel}: {seen[kernel].get(one)}")
    for one in known:
        if one not in found:
            print(f"\n{name}: {one} does not differ any more, or was not run.")
    package, _, version = part.requirements[0].partition("==")
    counts = (_counted(part, seen[kernel]) for kernel in KERNELS)
    told = f"{len(found)} known" if found and not unknown else str(len(unknown) or "none")
    return f"| {package} | {version} | {' | '.join(counts)} | {told} |", not unknown


def _counted(part: Part, results: Results) -> str:
    if part.suite is None:
        return f"{len(results)} checks"
    ends = Counter(results.values())
    kinds = ("passed", "failed", "error", "skipped")
    return ", ".join(f"{ends[end]} {end}" for end in kinds if ends[end])


if __name__ == "__main__":
    sys.exit(main())
