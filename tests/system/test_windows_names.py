r"""Names that Windows takes for something else than a file: the rules alone, on every system."""

from __future__ import annotations

import pytest

from aca_kernel.system.windows_names import is_plain, is_plain_path, same_path

ORDINARY = (
    "a", "data.csv", "Größe.txt", "two words.txt", ".hidden", "a.b.c", "console.txt", "com.txt",
    "com10", "lpt", "nul_", "aux-1.csv", "~", "a~b.txt", "backup~1234567.txt", "CONIN", " led.txt",
)  # fmt: skip

DEVICES = (
    "con", "CON", "Con.txt", "nul", "nul.txt", "NUL.tar.gz", "PRN", "aux.h", "com1", "COM9.log",
    "lpt1", "LPT³", "com¹.txt", "CONIN$", "conout$", "CON .txt", "nul:",
)  # fmt: skip

NOT_ONE_FILE = (
    "", ".", "..", "a.", "a ", "a...", "a. .", "data.csv:stream", "data.csv::$DATA", "C:data.csv",
    "a\\b", "a/b", "a?", "*.csv", "a|b", "<a>", 'a"b', "a\x00b", "a\nb", "PROGRA~1", "SECRET~2.TXT",
)  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_is_a_file(name: str) -> None:
    assert is_plain(name)


@pytest.mark.parametrize("name", [*DEVICES, *NOT_ONE_FILE])
def test_devices_streams_and_other_spellings_are_refused(name: str) -> None:
    assert not is_plain(name)


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\me\data.csv",
        "C:/Users/me/data.csv",
        r"C:data.csv",
        r"\data.csv",
        r"..\data.csv",
        r"\\server\share\folder\data.csv",
        r"\\?\C:\Users\me\data.csv",
        r"\\?\UNC\server\share\data.csv",
        r"C:\PROGRA~1\data.csv",
        "C:\\folder\\",
    ],
)
def test_a_path_of_the_user_may_be_anywhere(path: str) -> None:
    assert is_plain_path(path)


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\me\CON",
        r"C:\nul.txt",
        r"CON\data.csv",
        r"C:\data.csv:stream",
        r"C:\folder.\data.csv",
        "C:\\data.csv ",
        r"\\.\pipe\name",
        r"\\.\PhysicalDrive0",
        r"\\?\GLOBALROOT\Device\x",
        r"\\?\pipe\name",
        "//./nul",
        r"\\server\share\data.csv.",
    ],
)
def test_a_path_of_the_user_is_none_of_a_device_or_stream(path: str) -> None:
    assert not is_plain_path(path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"C:\a\b", r"\\?\C:\a\b"),
        (r"c:\a\b", r"C:\a\b"),
        (r"\\server\share\a", r"\\?\UNC\server\share\a"),
        (r"C:/a/b", r"C:\a\b"),
    ],
)
def test_the_same_path_is_spelled_in_several_ways(one: str, other: str) -> None:
    assert same_path(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [(r"C:\a", r"D:\a"), (r"C:\a\b", r"C:\a\B"), (r"C:\a", ""), (r"C:\a", r"\a")]
)
def test_other_paths_are_told_apart(one: str, other: str) -> None:
    assert not same_path(one, other)
