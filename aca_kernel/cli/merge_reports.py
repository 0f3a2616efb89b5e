"""`aca-kernel report merge`: one report made of several."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel report merge`."""
    add = parser.add_argument
    add("reports", nargs="+", metavar="REPORT", help="reports in JSON, of parts or of later runs")
    add(
        "--report",
        action="append",
        required=True,
        metavar="FILE",
        help="write the whole: name.json, name.xml for JUnit, name.html for a page; repeatable",
    )


def run(namespace: argparse.Namespace) -> int:
    """Merge reports; 0: every notebook is done, 1: one is not, or a part has no report."""
    from ..batch.merging import merged, read_report
    from ..batch.reports import check_report, make_folder_of, write_report
    from ..batch.shards import missing
    from ..batch.summary import print_problems, totals

    for path in namespace.report:
        check_report(path)
    reports = [read_report(path) for path in namespace.reports]
    whole = merged(reports)
    for path in namespace.report:
        make_folder_of(path)
    for path in namespace.report:
        write_report(path, whole.batch, whole.outcomes)
    print_problems(sys.stdout, whole.outcomes)
    print(totals(whole.outcomes, whole.batch.seconds))
    lacking = missing([one.batch.shard for one in reports if one.batch.shard is not None])
    for shard in lacking:
        print(f"Part {shard} has no report among these.", file=sys.stderr)
    return 0 if all(one.is_good for one in whole.outcomes) and not lacking else 1
