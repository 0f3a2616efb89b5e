r"""Patterns of `.gitignore` and `.acaignore`, by the rules of gitignore(5).

`.acaignore` has the same form, lies in the same places and takes precedence over the `.gitignore`
beside it: `!data/` in it lets a folder through that git ignores. Tracked files are excluded here,
too, if a pattern matches. An unreadable file of patterns excludes all beside it. A pattern that
excludes the whole notebook's folder is ignored: nothing would be left. Where git knows no case
(`core.ignorecase`, which `git init` sets on Windows and macOS), neither do the patterns.

Not the package `pathspec`: files that a pattern excludes would leave this machine. Compared with
`git check-ignore`, its version 1.1.1 does not match what `[[:digit:]]`, `[[:digit:]-z]`,
`[\]]`, `[a\]]`, `[a/b]` and `[!/]` exclude, matches a backslash with `[\a-c]` and `a` with `a`
and a tab, and fails at `[z-a]`, `!`, `\`, `a\` and `foo\` with two spaces. The choice and order of
the files of patterns for a path would still be ours.

Source: https://git-scm.com/docs/gitignore, "PATTERN FORMAT".
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .files_root import nearest_with

_FILES = (".gitignore", ".acaignore")

# Size and time of change of both files.
_Stamps = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class IgnoreRule:
    """One pattern. expression: matches paths relative to the folder of the pattern's file."""

    expression: re.Pattern[str]
    is_negated: bool
    for_folders: bool


class Ignore:
    """The patterns for a folder, those above it in its git repository included.

    home: the notebook's folder in it, which no pattern excludes as a whole.
    """

    def __init__(self, root: str, home: Sequence[str] = ()) -> None:
        self._root = root
        self._home = list(home)
        top = nearest_with((".git",), root) or root
        above = os.path.relpath(root, top)
        self._top = top
        self._ignores_case = _ignores_case(top)
        self._above = [] if above == "." else above.split(os.sep)
        self._known: dict[str, tuple[_Stamps, list[IgnoreRule]]] = {}
        # Tests by their folders, where each is made once.
        self._tests: dict[tuple[str, ...], Callable[[str, bool], bool]] | None = None

    def for_many(self) -> Ignore:
        """Return the same for paths of one question: files of patterns are looked at once."""
        other = copy.copy(self)
        other._tests = {}  # noqa: SLF001 - one of these
        return other

    def excludes(self, parts: list[str], *, is_folder: bool) -> bool:
        """Tell whether a path in the folder is excluded, by itself or with a folder above it.

        is_folder: whether it is a folder itself.
        """
        return any(
            self._test_in(parts[:end])(parts[end], is_folder or end + 1 < len(parts))
            for end in range(len(parts))
            if parts[: end + 1] != self._home[: end + 1]
        )

    def _test_in(self, folder: list[str]) -> Callable[[str, bool], bool]:
        if self._tests is None:
            return self.beside(folder)
        key = tuple(folder)
        if key not in self._tests:
            self._tests[key] = self.beside(folder)
        return self._tests[key]

    def lines_for(self, paths: list[list[str]]) -> list[str]:
        """Return lines for an `.acaignore` in the folder that let some files through.

        None, if there are no such lines: patterns of a deeper folder exclude the files.
        """
        lines: list[str] = []

        def is_excluded(parts: list[str], end: int) -> bool:
            rules = parse("\n".join(lines), ignores_case=self._ignores_case)
            return self.beside(parts[:end], rules)(parts[end], end + 1 < len(parts))

        for parts in paths:
            for end in range(len(parts)):
                if is_excluded(parts, end):
                    slash = "/" if end + 1 < len(parts) else ""
                    lines.append("!" + _escaped("/".join(parts[: end + 1])) + slash)
                    if is_excluded(parts, end):
                        return []
        return lines

    def beside(
        self, folder: list[str], more: Sequence[IgnoreRule] = ()
    ) -> Callable[[str, bool], bool]:
        """Return a test for names in a folder that is not excluded itself.

        The test's second argument: whether the name is a folder's. more: rules after those in the
        notebook's folder.
        """
        above = [*self._above, *folder]
        # The last pattern takes precedence, and the deepest file of patterns.
        chain = []
        for depth in range(len(above), -1, -1):
            rules = self._rules(os.path.join(self._top, *above[:depth]))
            if depth == len(self._above):
                rules = [*rules, *more]
            prefix = "/".join([*above[depth:], ""])
            chain += [(prefix, rule) for rule in reversed(rules)]

        def excludes(name: str, is_folder: bool) -> bool:
            for prefix, rule in chain:
                if (is_folder or not rule.for_folders) and rule.expression.fullmatch(prefix + name):
                    return not rule.is_negated
            return False

        return excludes

    def _rules(self, folder: str) -> list[IgnoreRule]:
        stamps = tuple(_stamp(os.path.join(folder, name)) for name in _FILES)
        known = self._known.get(folder)
        if known is None or known[0] != stamps:
            rules = [
                rule
                for name in _FILES
                for rule in _read(os.path.join(folder, name), ignores_case=self._ignores_case)
            ]
            known = self._known[folder] = stamps, rules
        return known[1]


# Of git's settings: a section, and a setting in it, which counts without a value, too.
_SECTION = re.compile(r"\s*\[\s*([^\]\s]+)[^\]]*\](.*)")
_SETTING = re.compile(r"\s*ignorecase\s*(?:=\s*\"?([^\s\"#;]*).*)?", re.IGNORECASE)


def _ignores_case(top: str) -> bool:
    """Tell whether git would take names in a folder that differ in case only for one.

    A repository says so itself. Elsewhere the file system is asked, as `git init` does.
    """
    try:
        with open(os.path.join(top, ".git", "config"), encoding="utf-8", errors="replace") as file:
            return _says_ignorecase(file.read())
    except OSError:  # no repository, or one of its further working trees
        pass
    with contextlib.suppress(OSError):
        names = [name for name in (*_FILES, ".git") if os.path.lexists(os.path.join(top, name))]
        paths = [(os.path.join(top, name), os.path.join(top, name.upper())) for name in names]
        return any(os.path.samefile(*pair) for pair in paths)
    return False


def _says_ignorecase(config: str) -> bool:
    section, found = "", False
    for line in config.splitlines():
        head = _SECTION.match(line)
        section, rest = (head[1].lower(), head[2]) if head else (section, line)
        setting = _SETTING.fullmatch(rest) if section == "core" else None
        if setting is not None:
            found = setting[1] is None or setting[1].lower() in ("true", "yes", "on", "1")
    return found


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def _read(path: str, *, ignores_case: bool) -> list[IgnoreRule]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            return parse(file.read(), ignores_case=ignores_case)
    except FileNotFoundError:
        return []
    except OSError:
        return parse("*")


def parse(text: str, *, ignores_case: bool = False) -> list[IgnoreRule]:
    """Return the rules of a file of patterns, in their order."""
    # As git has it: letters of ASCII only.
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if ignores_case else 0)
    rules = [_rule(line.removesuffix("\r"), flags) for line in text.split("\n")]
    return [rule for rule in rules if rule is not None]


def _rule(line: str, flags: int) -> IgnoreRule | None:
    if line.startswith("#"):
        return None
    # Trailing spaces, but not tabs, are ignored unless the last of them is escaped.
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    is_negated = line.startswith("!")
    pattern = line[1:] if is_negated else line
    for_folders = pattern.endswith("/")
    pattern = pattern.rstrip("/") if for_folders else pattern
    is_anchored = "/" in pattern
    pattern = pattern.removeprefix("/")
    if not pattern:
        return None
    expression = _translate(pattern, bool(flags & re.IGNORECASE))
    if expression is None:
        return None
    if not is_anchored:
        expression = "(?:.*/)?" + expression
    return IgnoreRule(re.compile(expression, flags), is_negated, for_folders)


def _escaped(path: str) -> str:
    """Return the pattern that means one path."""
    pattern = re.sub(r"[\\*?\[\]]", r"\\\g<0>", path)
    return pattern[:-1] + "\\ " if pattern.endswith(" ") else pattern


# The tokens of a pattern, in the order of precedence. `**` is one between slashes only.
_TOKEN = re.compile(
    r"(?P<folders>(?<![^/])\*\*/)|(?P<all>(?<![^/])\*\*\Z)|(?P<some>\*+)|(?P<one>\?)"
    r"|\[(?P<negated>[!^]?)(?P<members>\]?(?:\\.|\[:\w+:\]|[^\]\\])*)\]"
    r"|\\(?P<escaped>.)|(?P<plain>[^\[\\])",
    re.DOTALL,
)

# One of them as its kind, and as a regular expression.
_Piece = tuple[str, str]


def _translate(pattern: str, ignores_case: bool) -> str | None:
    """Return a pattern as a regular expression; None for one that matches nothing in git.

    What stands between two stars is taken where it is found first: a later place would match no
    more, and all places together take time that no pattern of somebody else's may cost.
    """
    pieces = _pieces(pattern, ignores_case)
    if pieces is None:
        return None
    number = itertools.count()

    def first(expression: str) -> str:
        # An atomic group, which Python has since 3.11.
        name = f"g{next(number)}"
        return f"(?=(?P<{name}>{expression}))(?P={name})"

    def in_folder(pieces: Sequence[_Piece]) -> str:
        start, *others = _split(pieces, "some")
        found = [_joined(start)]
        for place, one in enumerate(others, 1):
            # What a slash follows is in one place only.
            is_free = place < len(others) and not any(kind in ("slash", "all") for kind, _ in one)
            found.append(first(f"[^/]*?{_joined(one)}") if is_free else f"[^/]*{_joined(one)}")
        return "".join(found)

    start, *others = _split(pieces, "folders")
    found = [in_folder(start)]
    for place, one in enumerate(others, 1):
        inner = in_folder(one)
        is_last = place == len(others)
        found.append(f"(?:.*/)?{inner}" if is_last else first(f"(?:.*?/)??{inner}"))
    return "".join(found)


def _joined(pieces: Sequence[_Piece]) -> str:
    return "".join(expression for _, expression in pieces)


def _split(pieces: Sequence[_Piece], kind: str) -> list[list[_Piece]]:
    """Return what stands before, between and behind the pieces of a kind."""
    found: list[list[_Piece]] = [[]]
    for piece in pieces:
        if piece[0] == kind:
            found.append([])
        else:
            found[-1].append(piece)
    return found


def _pieces(pattern: str, ignores_case: bool) -> list[_Piece] | None:
    found: list[_Piece] = []
    place = 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:  # a bracket that is not closed, or a backslash at the end
            return None
        kind = str(token.lastgroup)
        if kind == "members":
            expression = _brackets(token["members"], bool(token["negated"]), ignores_case)
            if expression is None:
                return None
        elif kind in ("plain", "escaped"):
            kind = "slash" if token[kind] == "/" else kind
            expression = re.escape(token["plain"] or token["escaped"])
        else:
            expression = {"one": "[^/]", "all": ".+"}.get(kind, "")
        found.append((kind, expression))
        place = token.end()
    return found


def _brackets(text: str, is_negated: bool, ignores_case: bool) -> str | None:
    members = _members(text)
    if members is None:
        return None
    negation = "^" if is_negated else ""
    if not ignores_case:
        return f"(?!/)[{negation}{members}]"
    letters = _letters(members)
    # Of other characters than letters, the members as they are.
    return f"(?-i:(?![A-Za-z/])[{negation}{members}]|[{negation}{letters}](?<=[A-Za-z]))"


def _letters(members: str) -> str:
    """Return the letters that brackets match in git where it ignores case.

    It compares the small letter with each member, and with ranges the large one, too.
    """
    ranges = "".join(re.findall(r"[A-Za-z0-9]-[A-Za-z0-9]", members))
    small = [
        one
        for one in string.ascii_lowercase
        if re.fullmatch(f"[{members}]", one)
        or (ranges and re.fullmatch(f"[{ranges}]", one.upper()))
    ]
    # Brackets must not be empty; who uses this takes letters only.
    return "".join(small) + "".join(small).upper() + "/"


_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "digit": "0-9", "lower": "a-z",
    "space": "\\s", "upper": "A-Z", "xdigit": "0-9a-fA-F", "punct": "!-/:-@\\[-`{-~",
}  # fmt: skip


def _members(text: str) -> str | None:
    """Translate the contents of brackets for a regular expression."""
    found: list[str] = []
    for piece in re.findall(r"\[:\w+:\]|\\.|.", text, re.DOTALL):
        if piece.startswith("[:") and len(piece) > 2:
            if piece[2:-2] not in _CLASSES:
                return None
            found.append(_CLASSES[piece[2:-2]])
        elif piece == "-":
            found.append("-" if found else "\\-")
        else:
            found.append(re.escape(piece[-1]))
    if found[-1:] == ["-"]:
        found[-1] = "\\-"
    expression = "".join(found)
    try:
        re.compile(f"[{expression}]")
    except re.error:  # a range whose end comes before its begin
        return None
    return expression
