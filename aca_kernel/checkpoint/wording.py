"""What the user is told of checkpoints, in one sentence each."""

from __future__ import annotations

from typing import Any

from .leftovers import packages_of

# So many names with their reasons are told, unasked and where the user asks; others are counted.
_FEW_NAMES = 10
_MOST_NAMES = 1000


def what_of(manifest: dict[str, Any]) -> str:
    """Say how much a checkpoint holds."""
    files = sum("folder" not in one for one in manifest["files"])
    return _what(int(manifest["named"]), files, len(packages_of(manifest)))


def stored(what: str, skipped: list[tuple[str, str]], sent_bytes: int, seconds: float) -> str:
    """Say what of an environment was stored and what was not. what: from what_of."""
    text = f"Stored {what} on your machine in {seconds:.1f} s, {_size(sent_bytes)} of them new"
    return text + _not("not stored", _names(skipped)) + "."


def restored(report: dict[str, Any], cells_since: int, *, is_asked: bool = False) -> str:
    """Say what came back and what did not; begins lower case.

    is_asked: by a line of the user's, so that all is told.
    """
    what = _what_of_report(report)
    seconds = float(report.get("seconds") or 0)
    text = f"{what} came back in {seconds:.1f} s"
    if cells_since:
        cells = "the last cell" if cells_since == 1 else f"the last {cells_since} cells"
        text += f", as they were before {cells}"
    if report.get("python"):
        text += (
            f"; of its variables only modules, because the others were stored by Python "
            f"{str(report['python'])[:10]} and the new environment has another version"
        )
    missing = pairs(report.get("missing"))
    if is_asked:
        return text + _not("not restored", _names(missing))
    return text + _not("not restored", _names(missing, _FEW_NAMES, ", which `%aca status` names"))


def interrupted(report: dict[str, Any]) -> str:
    """Say what had come back when a restore was interrupted; begins lower case."""
    text = "bringing back what was stored was interrupted"
    if "files" in report:
        what = _what_of_report(report)
        text = f"{what} came back before that was interrupted"
    return f"{text}. All that was stored is kept, and `%aca restore` brings the rest"


# Begins lower case, too.
LOST = "what was stored is not on your machine any more"


def not_restored(reason: str, *, is_kept: bool) -> str:
    """Say that nothing, or not all, came back; begins lower case."""
    text = f"what was stored could not be brought back: {reason}"
    return f"{text} It is kept, and `%aca restore` tries it again" if is_kept else text


def pairs(value: Any) -> list[tuple[str, str]]:
    """Return names with reasons, as far as the environment has sent any."""
    if not isinstance(value, list):
        return []
    return [
        (str(one[0])[:200], str(one[1])[:300])
        for one in value
        if isinstance(one, (list, tuple)) and len(one) == 2
    ]


def status_rows(
    skipped: list[tuple[str, str]], missing: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return what `%aca status` shows of the last checkpoint and the last restore."""
    rows = [("not stored", _names(skipped)), ("not restored", _names(missing))]
    return [(name, value) for name, value in rows if value]


def _not(verb: str, names: str) -> str:
    return f"; {verb}: {names}" if names else ""


def _names(missing: list[tuple[str, str]], most: int = _MOST_NAMES, where: str = "") -> str:
    """Return names with their reasons, at most so many. where: the others are to be found."""
    # What `Out` and `_` hold is mostly a variable's value, too.
    told = [one for one in missing if not one[0].startswith("Out[")]
    shown = ", ".join(f"{name} ({reason})" for name, reason in told[:most])
    return shown + (f" and {len(told) - most} more{where}" if len(told) > most else "")


def _what_of_report(report: dict[str, Any]) -> str:
    return _what(*(_count(report, name) for name in ("variables", "files", "packages")))


def _what(variables: int, files: int, packages: int) -> str:
    if not packages:
        return f"{_plural(variables, 'variable')} and {_plural(files, 'file')}"
    return (
        f"{_plural(variables, 'variable')}, {_plural(files, 'file')} and "
        f"{_plural(packages, 'package')}"
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _count(report: dict[str, Any], name: str) -> int:
    value = report.get(name)
    return value if isinstance(value, int) else 0


def _size(count: int) -> str:
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB"
