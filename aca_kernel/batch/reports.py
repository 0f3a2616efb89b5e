"""Reports of a batch: JSON, JUnit's XML, which CI systems show, or a page for people."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from xml.etree import ElementTree as Xml  # noqa: ICN001 - a word, not letters

from .. import __version__
from ..errors import SettingInvalid
from .atomic_write import write_whole
from .finding import make_folder
from .html_report import html_report
from .outcomes import Batch, Outcome, Status

# Incremented when a member is removed or changes its meaning.
FORMAT_VERSION = 1

# Characters that XML 1.0 cannot have (its section 2.2), and colours of tracebacks.
_NOT_XML = re.compile("\x1b\\[[0-9;]*m|[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Among others, bytes of a file name that is not UTF-8.
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_report(path: str) -> None:
    """Check the path of a report.

    Raises SettingInvalid: its name is of no known kind, or a folder's.
    """
    if os.path.splitext(path)[1].lower() not in (".json", ".xml", ".html"):
        raise SettingInvalid(
            f"What kind of report is {path}? Give it a name that ends in .json, in .xml for JUnit, "
            "or in .html for a page."
        )
    if os.path.isdir(path):
        raise SettingInvalid(
            f"The report {path} cannot be written: there is a folder of this name. Choose another."
        )


def make_folder_of(path: str) -> None:
    """Make the folder of a report, before anything runs.

    Raises SettingInvalid: it cannot be made or written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    reason = make_folder(folder)
    if reason:
        raise SettingInvalid(
            f"The report {path} cannot be written to the folder {folder} ({reason}): choose "
            "another, or make it writable."
        )


def write_report(path: str, batch: Batch, outcomes: Sequence[Outcome]) -> None:
    """Write a report of the kind that its name says. Raises SettingInvalid: it cannot be."""
    kind = os.path.splitext(path)[1].lower()
    if kind == ".html":
        text = html_report(path, batch, outcomes)
    else:
        text = (json_report if kind == ".json" else junit_report)(batch, outcomes)
    try:
        write_whole(path, text)
    except OSError as error:
        raise SettingInvalid(f"The report {path} cannot be written: {error.strerror}.") from error


def json_report(batch: Batch, outcomes: Sequence[Outcome]) -> str:
    """Return the report as JSON."""
    counts = Counter(outcome.status for outcome in outcomes)
    report = {
        "version": FORMAT_VERSION,
        "generator": f"aca-kernel {__version__}",
        "started": batch.started,
        "seconds": round(batch.seconds, 3),
        "jobs": batch.jobs,
        "stopped": batch.is_stopped,
        "shard": str(batch.shard) if batch.shard else None,
        "totals": {status.value: counts[status] for status in Status},
        "notebooks": [
            {
                **asdict(outcome),
                "status": outcome.status.value,
                "seconds": round(outcome.seconds, 3),
                "cell_seconds": [round(one, 3) for one in outcome.cell_seconds],
                "errors": [
                    {
                        "cell": one.cell,
                        "line": one.line or None,
                        "ename": one.ename,
                        "evalue": one.evalue,
                        "ours": one.is_ours,
                    }
                    for one in outcome.errors
                ],
            }
            for outcome in outcomes
        ],
    }
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def junit_report(batch: Batch, outcomes: Sequence[Outcome]) -> str:
    """Return the report as JUnit's XML: a notebook is a test case, its folder the class.

    Source: the schema of Jenkins' xUnit plugin, junit-10.xsd, which CI systems follow.
    """
    counts = Counter(outcome.status for outcome in outcomes)
    suite = Xml.Element(
        "testsuite",
        name="aca-kernel run",
        timestamp=batch.started,
        time=f"{batch.seconds:.3f}",
        tests=str(len(outcomes)),
        failures=str(counts[Status.FAILED]),
        errors=str(counts[Status.INTERRUPTED]),
        skipped=str(counts[Status.SKIPPED] + counts[Status.NOT_RUN]),
    )
    for outcome in outcomes:
        folder, name = os.path.split(outcome.name)
        case = Xml.SubElement(
            suite,
            "testcase",
            name=_clean(name),
            classname=_clean(folder.replace(os.sep, ".") or "."),
            time=f"{outcome.seconds:.3f}",
        )
        _describe(case, outcome)
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _describe(case: Xml.Element, outcome: Outcome) -> None:
    if outcome.status is Status.FAILED:
        last = outcome.errors[-1]
        failure = Xml.SubElement(
            case, "failure", type=_clean(last.ename), message=_clean(last.short)
        )
        failure.text = _clean(
            "\n".join(f"{one.place or '-'}: {one.ename}: {one.evalue}" for one in outcome.errors)
        )
    elif outcome.status is Status.INTERRUPTED:
        text = f"interrupted after {outcome.cells_run} of {outcome.cells} cells"
        Xml.SubElement(case, "error", type="Interrupted", message=text)
    elif outcome.status is Status.SKIPPED:
        Xml.SubElement(case, "skipped", message="done before, and unchanged")
    elif outcome.status is Status.NOT_RUN:
        Xml.SubElement(case, "skipped", message="not run")


def _clean(text: str) -> str:
    return _NOT_XML.sub("", _SURROGATE.sub("\ufffd", text))
