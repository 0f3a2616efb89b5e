"""Beautiful Soup: parts of documents go on being parts of these.

A document pickles as its text. Here it is a list of its parts in their order, and each part, in
whatever variable it is, is a place in that list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

# How the parts hang together is made anew.
_LINKS = frozenset(
    {
        *("parent", "contents", "builder", "_most_recent_element", "parser_class"),
        *("next_element", "previous_element", "next_sibling", "previous_sibling"),
        *("currentTag", "tagStack", "open_tag_counter", "preserve_whitespace_tag_stack"),
        *("string_container_stack", "current_data", "markup"),
    }
)


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of documents and their parts."""
    yield sys.modules["bs4.element"].PageElement, _reduce


def _reduce(obj: Any) -> Any:
    root = obj
    while root.parent is not None:
        root = root.parent
    parts = _parts(root)
    if root is not obj:
        number = next(number for number, one in enumerate(parts) if one is obj)
        return part, (root, number)
    numbers = {id(one): number for number, one in enumerate(parts)}
    listed = [
        (
            numbers[id(one.parent)] if number else 0,
            type(one),
            str(one) if isinstance(one, str) else None,
            {name: value for name, value in vars(one).items() if name not in _LINKS},
        )
        for number, one in enumerate(parts)
    ]
    builder = getattr(obj, "builder", None)
    return document, (listed, None if builder is None else type(builder))


def _parts(root: Any) -> list[Any]:
    """Return a part with all below it, in their order."""
    found, todo = [], [root]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += reversed(getattr(one, "contents", ()))
    return found


def document(listed: list[tuple[int, Any, Any, dict[str, Any]]], builder: Any) -> Any:
    """Make a document, or a part that is in none."""
    parts: list[Any] = []
    for above, kind, text, attributes in listed:
        is_text = text is not None
        made = str.__new__(kind, text) if is_text else object.__new__(kind)
        made.__dict__.update(attributes)
        if not is_text:
            made.contents = []
        made.parent = parts[above] if parts else None
        made.previous_element = parts[-1] if parts else None
        made.next_element = made.next_sibling = made.previous_sibling = None
        if parts:
            parts[-1].next_element = made
            siblings = parts[above].contents
            if siblings:
                siblings[-1].next_sibling, made.previous_sibling = made, siblings[-1]
            siblings.append(made)
        parts.append(made)
    root = parts[0]
    if builder is not None:
        root.parser_class = type(root)
        root.builder = builder()
        root.builder.soup = root
        for name in ("tagStack", "preserve_whitespace_tag_stack", "string_container_stack"):
            setattr(root, name, [])
        root.current_data, root.markup, root.currentTag = [], None, root
    for one in parts:
        if one.__dict__.get("parser_class", 0) == 0 and hasattr(one, "contents"):
            one.parser_class = type(root)
    return root


def part(root: Any, number: int) -> Any:
    """Return a part of a document."""
    return _parts(root)[number]
