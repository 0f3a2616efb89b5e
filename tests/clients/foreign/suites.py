"""Tools' own test suites, as they come with their source distributions."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from .place import Place, Results, source_of

_SUITE_SECONDS = 3600

# The suites' own settings make errors of warnings of libraries that are newer than they are.
_OPTIONS = (
    *("-p", "no:cacheprovider", "--timeout=150", "--timeout-method=signal"),
    *("-o", "addopts=", "-o", "filterwarnings=default", "-o", "log_cli_level=CRITICAL"),
)


@dataclass(frozen=True)
class Suite:
    """One suite. package: pinned. files: its test files. source: a checkout, where no
    distribution of the package has its tests."""

    package: str
    files: tuple[str, ...]
    source: Path | None = None

    def run(self, place: Place) -> Results:
        """Run all of its tests."""
        return self.run_some(place, self.files)

    def files_of(self, place: Place, names: list[str]) -> tuple[str, ...]:
        """Return the files of tests that are called as in a report: `folder.file.Class::test`."""
        suite = place.folder / "suite"
        files = {}
        for name in names:
            parts = name.partition("::")[0].split(".")
            while parts and not suite.joinpath(*parts).with_suffix(".py").is_file():
                parts.pop()
            if parts:
                files["/".join(parts) + ".py"] = None
        return tuple(files)

    def run_some(self, place: Place, tests: tuple[str, ...]) -> Results:
        """Run some of its tests in a fresh copy of the suite."""
        source = self.source or source_of(self.package, place.folder.parent / "sources")
        copy = place.folder / "suite"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        report = place.folder / "report.xml"
        report.unlink(missing_ok=True)
        words = ("-m", "pytest", *_OPTIONS, f"--junit-xml={report}", *tests)
        _, printed = place.run(*words, cwd=copy, seconds=_SUITE_SECONDS)
        (place.folder / "log.txt").write_text(printed)
        if not report.exists():
            raise RuntimeError(f"pytest has reported nothing:\n{printed[-3000:]}")
        return outcomes_of(report)


def outcomes_of(report: Path) -> Results:
    """Read pytest's report: the outcome of each test, by its id as far as the report has it."""
    return {name: outcome for name, (outcome, _) in reasons_of(report).items()}


def reasons_of(report: Path) -> dict[str, tuple[str, str]]:
    """Return the outcome of each test of a report, and what the report says of it."""
    results = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child.get("message") or "" for child in case}
        outcome = next((one for one in ("error", "failure", "skipped") if one in kinds), "passed")
        ended = {"failure": "failed"}.get(outcome, outcome)
        results[name] = ended, kinds.get(outcome, "")
    return results
