"""One report made of several: of the parts of a batch, and of runs that went on with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..errors import SettingInvalid
from .outcomes import Batch, CellError, Outcome, Status
from .reports import FORMAT_VERSION
from .shards import Shard

# What comes of JSON of another kind, or of numbers that no run has.
_MALFORMED = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class RunReport:
    """What a run has reported."""

    batch: Batch
    outcomes: Sequence[Outcome]


def read_report(path: str) -> RunReport:
    """Read a report in JSON. Raises SettingInvalid: it is none, or another version's."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        version = found["version"]
    except OSError as error:
        raise SettingInvalid(f"The report {path} cannot be read: {error.strerror}.") from error
    except _MALFORMED:
        raise _not_one(path) from None
    if version != FORMAT_VERSION:
        raise SettingInvalid(
            f"The report {path} is of version {version}, and this aca-kernel reads version "
            f"{FORMAT_VERSION}: merge reports with the aca-kernel that has written them."
        )
    try:
        return RunReport(_batch(found), [_outcome(one) for one in found["notebooks"]])
    except (*_MALFORMED, SettingInvalid):
        raise _not_one(path) from None


def merged(reports: Iterable[RunReport]) -> RunReport:
    """Return the report of all runs together, the notebooks by their names.

    Of a notebook that several have, the last run of it counts; one that was skipped because it
    had been done is told by the run that did it, if that is among these.
    """
    newest_first = sorted(reports, key=lambda one: _times(one.batch)[0], reverse=True)
    by_name: dict[str, list[Outcome]] = {}
    for report in newest_first:
        for outcome in report.outcomes:
            by_name.setdefault(outcome.name, []).append(outcome)
    batches = [report.batch for report in newest_first]
    times = [_times(batch) for batch in batches]
    started = min(start for start, _ in times)
    outcomes = [_last(by_name[name]) for name in sorted(by_name)]
    whole = Batch(
        started=started.isoformat(timespec="seconds"),
        seconds=(max(end for _, end in times) - started).total_seconds(),
        jobs=sum(batch.jobs for batch in batches),
        # A part may have been stopped and another not, and what was stopped may have gone on.
        is_stopped=any(one.status in (Status.INTERRUPTED, Status.NOT_RUN) for one in outcomes),
    )
    return RunReport(whole, outcomes)


def _last(newest_first: Sequence[Outcome]) -> Outcome:
    for outcome in newest_first:
        if outcome.status is Status.SKIPPED:
            done = (one for one in newest_first if one.status is Status.DONE)
            return next(done, outcome)
        if outcome.status is not Status.NOT_RUN:
            return outcome
    return newest_first[0]


def _times(batch: Batch) -> tuple[datetime, datetime]:
    started = datetime.fromisoformat(batch.started)
    return started, started + timedelta(seconds=batch.seconds)


def _batch(found: dict[str, Any]) -> Batch:
    shard = found.get("shard")
    batch = Batch(
        started=str(found["started"]),
        seconds=float(found["seconds"]),
        jobs=int(found["jobs"]),
        is_stopped=bool(found["stopped"]),
        shard=None if shard is None else Shard.parse(str(shard)),
    )
    if _times(batch)[0].tzinfo is None:
        raise ValueError("a time without its zone")
    return batch


def _outcome(found: dict[str, Any]) -> Outcome:
    errors = [
        CellError(
            int(one["cell"]),
            str(one["ename"]),
            str(one["evalue"]),
            # Of a version before this member: not known.
            is_ours=one.get("ours") is True,
            line=int(one.get("line") or 0),
        )
        for one in found["errors"]
    ]
    outcome = Outcome(
        name=str(found["name"]),
        source=str(found["source"]),
        output=str(found["output"]),
        status=Status(found["status"]),
        kernel=str(found["kernel"]),
        cells=int(found["cells"]),
        cells_run=int(found["cells_run"]),
        attempts=int(found["attempts"]),
        seconds=float(found["seconds"]),
        errors=errors,
        cell_seconds=[float(one) for one in found.get("cell_seconds", ())],
    )
    if outcome.status is Status.FAILED and not errors:
        raise ValueError("a failure without its error")
    return outcome


def _not_one(path: str) -> SettingInvalid:
    return SettingInvalid(
        f"{path} is no report of a batch: give files that `aca-kernel run --report NAME.json` has "
        "written."
    )
