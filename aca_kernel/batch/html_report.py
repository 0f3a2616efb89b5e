"""The report of a batch for people: one page, with times of cells as bars and links to outputs.

Nothing is loaded from elsewhere, and no script runs in it. What comes from notebooks is escaped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from .outcomes import Batch, CellError, Outcome, counts_of

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; vertical-align: top; border-top: 1px solid #8884; }
.times { width: 45%; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow-wrap: anywhere; }
.bar { display: flex; height: 1.1em; min-width: 4px; }
.bar span { background: #4a90d9; }
.bar span:nth-child(even) { background: #8dbbe8; }
.bar span.failed:nth-child(n) { background: #d9534f; min-width: 4px; }
.error { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere; }
.done { color: #2a8a3e; } .failed { color: #d9534f; } .interrupted { color: #b58900; }
.skipped, .not-run { color: #888; }
@media (max-width: 40rem) {
  table, tbody, tr { display: block; } tr:has(th) { display: none; }
  tr { border-top: 1px solid #8884; padding: .4rem 0; }
  td { display: inline; border: 0; padding: 0 .6rem 0 0; }
  td:first-child, td.times { display: block; width: auto; }
  td.number::after { content: " s"; }
}
"""


def html_report(path: str, batch: Batch, outcomes: Sequence[Outcome]) -> str:
    """Return the page. path: where it will be, for links to the outputs."""
    title = escape(counts_of(outcomes))
    shard = f", part {batch.shard}" if batch.shard else ""
    started = datetime.fromisoformat(batch.started).strftime("%Y-%m-%d %H:%M:%S %Z")
    longest = max((sum(one.cell_seconds) for one in outcomes), default=0.0)
    rows = "\n".join(_row(path, outcome, longest) for outcome in outcomes)
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
<h1>{title}</h1>
<p>{escape(started)}, {batch.seconds:.1f} s, {batch.jobs} at a time{escape(shard)}.
Each cell is as wide as it took, in two colours by turns, red if it failed; the longest notebook
fills the column.</p>
<table>
<tr><th>notebook<th>status<th class="number">seconds<th class="times">cells</tr>
{rows}
</table>
</html>
"""


def _row(path: str, outcome: Outcome, longest: float) -> str:
    status = outcome.status.value
    attempts = f", attempt {outcome.attempts}" if outcome.attempts > 1 else ""
    cells = f"{outcome.cells_run} of {outcome.cells}" if outcome.cells else ""
    errors = "".join(f'<div class="error">{_error(one)}</div>' for one in outcome.errors)
    return (
        f"<tr><td>{_link(path, outcome)}"
        f'<td class="{status.replace(" ", "-")}">{status}{attempts}'
        f'<td class="number">{outcome.seconds:.1f}'
        f'<td class="times">{cells}{_bar(outcome, longest)}{errors}</tr>'
    )


def _link(path: str, outcome: Outcome) -> str:
    """Return a notebook's name, with a link if a run has left an output."""
    name = escape(_readable(outcome.name))
    if not (outcome.is_good or outcome.cell_seconds):
        return name
    folder = os.path.dirname(os.path.abspath(path))
    try:
        target = os.path.relpath(outcome.output, folder)
    except ValueError:  # on another drive of Windows
        return name
    # A name with a colon would be an address of another kind.
    address = quote(os.fsencode("./" + target.replace(os.sep, "/")))
    return f'<a href="{address}">{name}</a>'


def _bar(outcome: Outcome, longest: float) -> str:
    if not outcome.cell_seconds or longest <= 0:
        return ""
    width = 100 * sum(outcome.cell_seconds) / longest
    return f'<div class="bar" style="width:{width:.2f}%">{"".join(_segments(outcome))}</div>'


def _segments(outcome: Outcome) -> Iterator[str]:
    failed = {error.cell for error in outcome.errors}
    # Shares whose sum is less than 1 do not fill the bar.
    whole = max(sum(outcome.cell_seconds), 0.0001) / 1000
    for number, seconds in enumerate(outcome.cell_seconds, 1):
        mark = ' class="failed"' if number in failed else ""
        title = f"cell {number}: {seconds:.2f} s"
        # A bar of nothing but shares of 0 would be empty.
        share = max(seconds / whole, 0.0001)
        yield f'<span{mark} title="{title}" style="flex:{share:.4f} 1 0"></span>'


def _error(error: CellError) -> str:
    place = f"{error.place}: " if error.place else ""
    return escape(_readable(f"{place}{error.short}"))


def _readable(text: str) -> str:
    """Return a text without what UTF-8 cannot say: bytes of a file name, for instance."""
    return text.encode("utf-8", "replace").decode("utf-8")
