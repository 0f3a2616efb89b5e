"""What the user is told of checkpoints, in one sentence each."""

from __future__ import annotations

from typing import Any

# So many names with their reasons are told; the others are counted.
_MOST_NAMES = 10


def what_of(manifest: dict[str, Any]) -> str:
    """Say how much a checkpoint holds."""
    return _what(int(manifest["named"]), sum("folder" not in one for one in manifest["files"]))


def stored(what: str, skipped: Any, sent_bytes: int, seconds: float) -> str:
    """Say what of an environment was stored and what was not. what: from what_of."""
    text = f"Stored {what} on your machine in {seconds:.1f} s, {_size(sent_bytes)} of them new"
    return text + _not("not stored", pairs(skipped)) + "."


def restored(report: dict[str, Any], cells_since: int) -> str:
    """Say what came back and what did not; begins lower case."""
    what = _what(_count(report, "variables"), _count(report, "files"))
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
    return text + _not("not restored", pairs(report.get("missing")))


def interrupted(report: dict[str, Any]) -> str:
    """Say what had come back when a restore was interrupted; begins lower case."""
    text = "bringing back what was stored was interrupted"
    if "files" in report:
        what = _what(_count(report, "variables"), _count(report, "files"))
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


def _not(verb: str, missing: list[tuple[str, str]]) -> str:
    # What `Out` and `_` hold is mostly a variable's value, too.
    told = [one for one in missing if not one[0].startswith(("Out[", "_"))]
    if not told:
        return ""
    shown = ", ".join(f"{name} ({reason})" for name, reason in told[:_MOST_NAMES])
    more = f" and {len(told) - _MOST_NAMES} more" if len(told) > _MOST_NAMES else ""
    return f"; {verb}: {shown}{more}"


def _what(variables: int, files: int) -> str:
    return f"{_plural(variables, 'variable')} and {_plural(files, 'file')}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _count(report: dict[str, Any], name: str) -> int:
    value = report.get(name)
    return value if isinstance(value, int) else 0


def _size(count: int) -> str:
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB"
