"""The report for people: a page that is whole in itself, with bars, errors and links."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from aca_kernel.batch.html_report import html_report
from aca_kernel.batch.outcomes import Batch, CellError, Outcome, Status
from aca_kernel.cli import main

from .support import run, write_notebook

BATCH = Batch("2026-01-02T03:04:05+00:00", 12.5, 4, is_stopped=False)
NASTY = "<script>alert('x')</script>&\"\udcff"


class Page(HTMLParser):
    """The elements of a page. links, bars: of the anchors, and of the cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.bars: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))
        if tag == "span":
            self.bars.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_batch_writes_a_page_with_its_cells_and_outputs(tmp_path: Path) -> None:
    write_notebook(tmp_path / "books" / "a.ipynb", "import time\ntime.sleep(0.3)", "1")
    write_notebook(tmp_path / "books" / "b.ipynb", "1", "x = 2\n{}['<key>']", "3")
    (tmp_path / "reports").mkdir()
    words = ("--report", "reports/r.html", "--report", "r.json")
    done = run(tmp_path, "books", "--output-dir", "out", *words)
    assert done.returncode == 1
    page = Page((tmp_path / "reports" / "r.html").read_text(encoding="utf-8"))
    assert "1 done, 1 failed" in page.text
    # Short cells fill their bar too: with shares of less than 1 in all they would not be seen.
    shares = [float(str(one["style"]).split(":")[1].split()[0]) for one in page.bars]
    assert sum(shares[:2]) > 999
    assert sum(shares[2:]) > 999
    assert "cell 2, line 2: KeyError: '<key>'" in page.text
    for link in page.links:
        assert (tmp_path / "reports" / unquote(link)).is_file()
    assert len(page.links) == 2
    assert [one.get("class") for one in page.bars] == [None, None, None, "failed"]
    assert float(str(page.bars[0]["title"]).split()[2]) >= 0.3
    # Of a merged report, too.
    whole = tmp_path / "reports" / "all.html"
    assert main(["report", "merge", str(tmp_path / "r.json"), "--report", str(whole)]) == 1
    assert len(Page(whole.read_text(encoding="utf-8")).bars) == 4


def test_what_comes_from_notebooks_is_text(tmp_path: Path) -> None:
    failed = Outcome(
        NASTY, "", str(tmp_path / "out" / f"{NASTY.replace('/', '')}.ipynb"), Status.FAILED,
        cells=2, errors=[CellError(1, NASTY, NASTY)], cell_seconds=[1.0, 0.0],
    )  # fmt: skip
    left = Outcome("later.ipynb", "", str(tmp_path / "out" / "later.ipynb"))
    broken = Outcome(
        "broken.ipynb", "", str(tmp_path / "out" / "broken.ipynb"), Status.FAILED,
        errors=[CellError(0, "NotebookInvalid", "It is none.")],
    )  # fmt: skip
    text = html_report(str(tmp_path / "r.html"), BATCH, [failed, left, broken])
    text.encode("utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert len(page.bars) == 2
    # What has not run has no output, nor has what could not be begun.
    assert len(page.links) == 1
    assert page.links[0].startswith("./out/%3Cscript%3E")


def test_a_batch_of_nothing_is_a_page() -> None:
    text = Page(html_report("r.html", BATCH, [])).text
    assert "nothing to run" in text
    assert "2026-01-02 03:04:05 UTC, 12.5 s" in text
