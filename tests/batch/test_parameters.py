"""Values for notebooks: what they mean, and where they go."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from aca_kernel.batch import parameters
from aca_kernel.batch.injection import inject
from aca_kernel.batch.notebook_io import fingerprint
from aca_kernel.batch.parameters import read_parameters, typed
from aca_kernel.errors import SettingInvalid

VALUES = {
    "count": 3,
    "share": 0.25,
    "text": 'it\'s "quoted" \\ and\nlong ü',
    "flag": False,
    "nothing": None,
    "names": ["a", 1, {"b": [None, True]}],
    "limit": math.inf,
}


def notebook(*cells: tuple[str, str]) -> Any:
    made = []
    for source, tag in cells:
        cell = nbformat.v4.new_code_cell(source)
        if tag:
            cell.metadata["tags"] = [tag]
        made.append(cell)
    return nbformat.v4.new_notebook(cells=made)


def order(one: Any) -> list[str]:
    return [",".join(cell.metadata.get("tags", [])) or cell.source for cell in one.cells]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("2.5", 2.5), ("1e3", 1000.0), ("True", True), ("None", None), ("x", "x"), ("", "")],
)
def test_a_value_on_the_command_line_means_what_it_means_to_papermill(
    text: str, value: Any
) -> None:
    from papermill.cli import _resolve_type

    assert typed(text) == _resolve_type(text) == value
    assert type(typed(text)) is type(value)


@pytest.mark.parametrize("has_papermill", [True, False])
def test_injected_values_arrive_as_they_are(
    has_papermill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_papermill:
        monkeypatch.setitem(sys.modules, "papermill.translators", None)
    one = notebook(("count = 1", "parameters"), ("count", ""))
    inject(one, VALUES, "aca", "python")
    assert order(one) == ["parameters", "injected-parameters", "count"]
    namespace: dict[str, Any] = {}
    exec(one.cells[1].source, namespace)
    assert {name: namespace[name] for name in VALUES} == VALUES
    nbformat.validate(one)


def test_an_injected_cell_is_replaced_and_without_defaults_it_comes_first() -> None:
    one = notebook(("print(n)", ""))
    inject(one, {"n": 1}, "aca", "python")
    inject(one, {"n": 2}, "aca", "python")
    assert order(one) == ["injected-parameters", "print(n)"]
    assert "n = 2" in one.cells[0].source


def test_an_old_notebook_stays_valid() -> None:
    one = notebook(("print(n)", ""))
    one.nbformat_minor = 4
    del one.cells[0]["id"]
    inject(one, {"n": 1}, "aca", "python")
    nbformat.validate(one)


def test_other_languages_are_papermills(monkeypatch: pytest.MonkeyPatch) -> None:
    one = notebook(("n", ""))
    inject(one, {"n": None}, "ir", "R")
    assert "n = NULL" in one.cells[0].source
    with pytest.raises(SettingInvalid, match="in the language cobol"):
        inject(one, {"n": 1}, "cobol", "cobol")
    monkeypatch.setitem(sys.modules, "papermill.translators", None)
    with pytest.raises(SettingInvalid, match="pip install papermill"):
        inject(one, {"n": 1}, "ir", "R")


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.json", '{"a": 1, "b": [1, null]}'), ("p.yaml", "a: 1\nb: [1, null]\n")],
)
def test_a_file_gives_values_and_the_command_line_counts_more(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert read_parameters(str(path), [("a", "2")]) == {"a": 2, "b": [1, None]}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.json", "{", "are not valid JSON"),
        ("p.json", "[1]", "must be names with values, not a list"),
        ("p.json", "null", "must be names with values, not a NoneType"),
        ("p.json", '{"a": ' + "[" * 5000 + "]" * 5000 + "}", "more than 100 levels deep"),
        ("p.yaml", "a: " + "[" * 150 + "]" * 150, "more than 100 levels deep"),
        ("p.yaml", "a: &x [*x]", "or in themselves"),
        ("p.yaml", "a: &x {b: *x}", "or in themselves"),
        ("p.yaml", "a: b: c", "are not valid YAML in line 1"),
        ("p.yaml", "1: 2", "The parameter 1 is not a name"),
        ("p.yaml", "a-b: 2", "The parameter 'a-b' is not a name"),
        ("p.json", '{"class": 1}', "The parameter 'class' is not a name"),
        ("no.json", None, "cannot be read: No such file"),
        ("p.json", b"\xff", "it is not UTF-8 text"),
    ],
)
def test_what_gives_no_values_is_said_in_one_sentence(
    tmp_path: Path, name: str, text: str | bytes | None, says: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingInvalid) as refused:
        read_parameters(str(path), [])
    assert says in refused.value.message
    assert "\n" not in refused.value.message


def test_values_are_counted_as_often_as_anchors_say_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "_MOST", 100)
    path = tmp_path / "p.yaml"
    path.write_text("a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\nb: [*a, *a]\n")
    assert len(read_parameters(str(path), [])["b"]) == 2
    path.write_text(path.read_text() + "c: [*a, *a, *a, *a, *a, *a, *a, *a]\n")
    with pytest.raises(SettingInvalid, match="more than 100 values: give notebooks the name of a"):
        read_parameters(str(path), [])


def test_times_of_a_yaml_file_arrive_as_papermill_gives_them(tmp_path: Path) -> None:
    from papermill.iorw import read_yaml_file

    path = tmp_path / "p.yaml"
    path.write_text("day: 2024-01-02\nat: 2024-01-02T03:04:05Z\nlist: [2024-99-99, 12:30]\n")
    found = read_parameters(str(path), [])
    assert found == read_yaml_file(str(path))
    assert (found["day"], found["at"]) == ("2024-01-02", "2024-01-02T03:04:05Z")


@pytest.mark.parametrize("text", ["", "# a: 1\n", "---\n"])
def test_an_empty_yaml_file_gives_no_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    assert read_parameters(str(tmp_path / "p.yaml"), [("a", "1")]) == {"a": 1}


def test_a_notebook_is_told_from_another_by_values_with_any_keys(tmp_path: Path) -> None:
    one = notebook(("q", ""))
    prints = set()
    for text in ("q: {a: b, 3: c}", "q: {a: b, '3': c}", "q: {a: b}", "q: [{3: c}]"):
        (tmp_path / "p.yaml").write_text(text)
        prints.add(fingerprint(one, read_parameters(str(tmp_path / "p.yaml"), [])))
    assert len(prints) == 4
    assert fingerprint(one, {"q": {3: "c", "a": "b"}}) in prints


def test_yaml_without_pyyaml_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "p.yaml").write_text("a: 1")
    with pytest.raises(SettingInvalid, match="pip install pyyaml"):
        read_parameters(str(tmp_path / "p.yaml"), [])
