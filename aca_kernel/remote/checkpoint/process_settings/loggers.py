"""Settings of logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from .row import Row, Unkept, call_each, is_of_cells

_OUTPUTS = ("stdout", "stderr")

# Those that ipykernel makes by itself.
_OF_THE_KERNEL = frozenset({"IPKernelApp", "tornado", "traitlets"})


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    """Yield all loggers by their names, the root as ""."""
    yield "", logging.root
    for name, one in sorted(logging.root.manager.loggerDict.items()):
        if isinstance(one, logging.Logger) and name not in _OF_THE_KERNEL:
            yield name, one


def _handler(one: logging.Handler) -> dict[str, Any] | None:
    """Describe a handler; None: it is of another kind."""
    found: dict[str, Any] = {
        "level": one.level,
        "formatter": one.formatter,
        "filters": list(one.filters),
    }
    if type(one) is logging.FileHandler:
        return {**found, "path": one.baseFilename, "encoding": one.encoding}
    for name in _OUTPUTS:
        if type(one) is logging.StreamHandler and one.stream is getattr(sys, name):
            return {**found, "output": name}
    return None


def _read_logging(_: Any) -> Any:
    state: dict[str, Any] = {}
    for name, logger in _loggers():
        handlers = [found for one in logger.handlers if (found := _handler(one)) is not None]
        plain = (logging.NOTSET if name else logging.WARNING, True, False)
        flags = (logger.level, logger.propagate, logger.disabled)
        if handlers or flags != plain or logger.filters:
            state[name] = (*flags, list(logger.filters), handlers)
    captures = getattr(logging, "_warnings_showwarning", None) is not None
    disabled = logging.root.manager.disable
    return (state, disabled, captures) if state or disabled or captures else None


def _write_logging(_: Any, state: Any) -> None:
    for name, (level, propagate, disabled, filters, handlers) in state[0].items():
        logger = logging.getLogger(name or None)
        logger.setLevel(level)
        logger.propagate, logger.disabled, logger.filters = propagate, disabled, filters
        for one in handlers:
            made = _same_handler(logger, one)
            made.setLevel(one["level"])
            made.setFormatter(one["formatter"])
            made.filters = one["filters"]
    logging.disable(state[1])
    logging.captureWarnings(state[2])


def _same_handler(logger: logging.Logger, wanted: dict[str, Any]) -> logging.Handler:
    """Return the handler, which a module may have made when it was imported, or a new one."""
    same = ("output", "path")
    for one in logger.handlers:
        found = _handler(one)
        if found is not None and all(found.get(key) == wanted.get(key) for key in same):
            return one
    made: logging.Handler
    if "path" in wanted:
        made = logging.FileHandler(wanted["path"], "a", wanted["encoding"], delay=True)
    else:
        made = logging.StreamHandler(getattr(sys, wanted["output"]))
    logger.addHandler(made)
    return made


def unkept() -> Unkept:
    """Return the handlers that are not made again."""
    return [
        (
            f"a handler of {f'the logger {name}' if name else 'the root logger'}",
            f"it is a {type(one).__name__}, which is not made again",
        )
        for name, logger in _loggers()
        for one in logger.handlers
        if _handler(one) is None
        and type(one) is not logging.NullHandler
        and (not name or is_of_cells(one))
    ]


# -- classes and levels ------------------------------------------------------------


def _read_levels(_: Any) -> Any:
    names: dict[int, str] = logging._levelToName  # noqa: SLF001 - all of them since Python 3.11
    own = {level: name for level, name in names.items() if _LEVELS.get(level) != name}
    return own or None


_LEVELS = {
    getattr(logging, name): name
    for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
}


def _read_classes(_: Any) -> Any:
    kind = logging.getLoggerClass()
    found = {name: one for name, one in _loggers() if is_of_cells(type(one))}
    plain = {"manager", *vars(logging.root)}
    own = {
        name: (
            type(one),
            {key: value for key, value in vars(one).items() if key not in plain},
        )
        for name, one in found.items()
    }
    state = (kind if is_of_cells(kind) else None, own)
    return state if any(state) else None


def _write_classes(_: Any, state: Any) -> None:
    kind, own = state
    if kind is not None:
        logging.setLoggerClass(kind)
    for name, (kind_of_one, attributes) in own.items():
        logger = logging.getLogger(name)
        logger.__class__ = kind_of_one
        vars(logger).update(attributes)


ROWS: dict[str, Row] = {
    # First: others are about their loggers.
    "the classes of loggers": Row("logging", _read_classes, _write_classes),
    "the names of levels": Row("logging", _read_levels, call_each("addLevelName"), is_early=True),
    # Of what the process has: the copy has other streams.
    "the settings of logging": Row("logging", _read_logging, _write_logging, is_before_fork=True),
}
