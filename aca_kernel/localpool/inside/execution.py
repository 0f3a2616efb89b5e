"""Runs one piece of source in the session's namespace and returns its last value.

Plain Python is compiled and run directly, without the literal of megabytes in which programs
send data. Top-level await gets an event loop when one is first needed; what does not compile is
given to IPython, if there is one.
"""

from __future__ import annotations

import _ast
import builtins
import linecache
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import types
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

    from .ipython_mode import IPythonMode

_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST; ast itself is not needed and costs 2 ms
_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FUTURE_MASK = 0x1FE0000  # every flag of a `from __future__ import`; they last, as in a REPL
_IPYTHON_NAMES = frozenset({"display", "get_ipython"})
# Sources of definitions are kept for tracebacks; beyond these bounds the oldest go.
_KEPT_SOURCES = 500
_KEPT_SOURCE_CHARACTERS = 1 << 20
# The tokenizer needs ten milliseconds for a megabyte; a shorter literal is not worth a look.
_LARGE_LITERAL_CHARACTERS = 1 << 16
# Cannot be in any source: it is made anew by each process and told to nobody.
_PLACEHOLDER = os.urandom(16).hex()


class Executor:
    """Holds what outlives a request: namespace, future flags, event loop, sources."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._count = 0
        self._flags = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ipython: IPythonMode | None = None
        self._kept: list[str] = []
        self._last_name: str | None = None
        namespace["__builtins__"] = builtins
        sys.meta_path.insert(0, _ChooseAgg())

    def run(self, source: str) -> Any:
        """Return the value of the last statement if it is an expression, else None.

        Whatever the source raises comes out as it is, SystemExit and
        KeyboardInterrupt included.
        """
        self._count += 1
        name = f"<cell {self._count}>"
        self._forget_last()
        self._remember(name, source)
        try:
            tree = self._parse(source, name)
        except SyntaxError as error:
            source = self._transform(source, error)
            self._remember(name, source)
            tree = self._parse(source, name)
        value = self._run_tree(tree, name)
        if source[-256:].rstrip().endswith(";"):
            value = None  # as IPython: a trailing semicolon silences the value
        if value is not None:
            builtins._ = value  # type: ignore[attr-defined]
        return value

    def _parse(self, source: str, name: str) -> Any:
        flags = self._flags | _ONLY_AST | _TOP_LEVEL_AWAIT
        literal = _last_literal(source)
        if literal:
            shorter = f'{source[: -len(literal) - 2]}{_PLACEHOLDER}")'
            tree = compile(shorter, name, "exec", flags, dont_inherit=True)
            if _put_literal(tree, literal):
                return tree
        return compile(source, name, "exec", flags, dont_inherit=True)

    def _run_tree(self, tree: Any, name: str) -> Any:
        body = tree.body
        last = None
        if body and isinstance(body[-1], _ast.Expr):
            last = _ast.Expression(body.pop().value)
        flags = self._flags | _TOP_LEVEL_AWAIT
        codes = []
        if body:
            code = compile(tree, name, "exec", flags, dont_inherit=True)
            self._flags |= code.co_flags & _FUTURE_MASK
            codes.append(code)
        if last is not None:
            codes.append(compile(last, name, "eval", flags, dont_inherit=True))
        self._keep(name, codes)
        if self._ipython is None and any(self._uses_ipython(code) for code in codes):
            self._start_ipython()
        value = None
        for code in codes:
            value = eval(code, self._namespace)  # noqa: S307  running it is the purpose
            if code.co_flags & _IS_COROUTINE:
                value = self._await(value)
        return value if last is not None else None

    def _await(self, coroutine: Any) -> Any:
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:
            task.cancel()
            self._loop.run_until_complete(asyncio.wait([task], timeout=1))
            raise

    def _transform(self, source: str, error: SyntaxError) -> str:
        """Turn IPython syntax into plain Python, or raise what is wrong with the source."""
        ipython = self._start_ipython()
        if ipython is None:
            line = (error.text or "").lstrip()
            if line.startswith(("!", "%")) or source.rstrip().endswith("?"):
                raise ImportError(
                    "Magics, `!` and `?` need IPython, which is not installed here. "
                    "Install it, or use plain Python."
                ) from None
            raise error from None
        transformed = ipython.transform(source)
        if transformed == source:
            raise error
        return transformed

    def _start_ipython(self) -> IPythonMode | None:
        if self._ipython is None:
            try:
                from .ipython_mode import IPythonMode  # 150 ms that most sessions never need
            except ImportError:
                return None
            self._ipython = IPythonMode(self._namespace)
        return self._ipython

    def _uses_ipython(self, code: types.CodeType) -> bool:
        """Tell whether plain Python asks for a name that only IPython provides."""
        if any(name in _IPYTHON_NAMES and name not in self._namespace for name in code.co_names):
            return True
        return any(self._uses_ipython(c) for c in code.co_consts if hasattr(c, "co_names"))

    def _remember(self, name: str, source: str) -> None:
        """Let tracebacks show the lines of this source."""
        if len(source) <= _KEPT_SOURCE_CHARACTERS:
            lines = source.splitlines(keepends=True)
            linecache.cache[name] = (len(source), None, lines, name)
            self._last_name = name

    def _keep(self, name: str, codes: Sequence[types.CodeType]) -> None:
        """Keep a source beyond its request if something defined in it may be called later."""
        defines = any(hasattr(const, "co_code") for code in codes for const in code.co_consts)
        if defines and self._last_name == name:
            self._last_name = None
            self._kept.append(name)
            if len(self._kept) > _KEPT_SOURCES:
                linecache.cache.pop(self._kept.pop(0), None)

    def _forget_last(self) -> None:
        if self._last_name is not None:
            linecache.cache.pop(self._last_name, None)
            self._last_name = None


def _last_literal(source: str) -> str:
    """Return the text of the large plain string that is the last argument of the source's call.

    Empty if there is none: the compiler has to look.
    """
    if len(source) < _LARGE_LITERAL_CHARACTERS or not source.endswith('")'):
        return ""
    start = source.rfind('"', 0, -2) + 1
    is_large = start > 1 and len(source) - start >= _LARGE_LITERAL_CHARACTERS
    if not is_large or source[start - 2] != "(":
        return ""
    literal = source[start:-2]
    is_plain = literal.isascii() and not any(one in literal for one in "\\\r\n\0")
    return literal if is_plain else ""


def _put_literal(tree: Any, literal: str) -> bool:
    """Put the text into the call that ends the tree; False: its placeholder is not there."""
    value: Any = getattr(tree.body[-1], "value", None) if tree.body else None
    argument: Any = value.args[-1] if isinstance(value, _ast.Call) and value.args else None
    if getattr(argument, "value", None) != _PLACEHOLDER:
        return False
    argument.value = literal
    return True


class _ChooseAgg:
    """Gives matplotlib a backend without a display when pyplot is first imported.

    Not through MPLBACKEND: child processes (a Jupyter kernel, say) inherit variables
    and have a default of their own.
    """

    def find_spec(
        self,
        fullname: str,
        path: Any = None,  # noqa: ARG002 - the protocol's
        target: Any = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == "matplotlib.pyplot":
            sys.meta_path.remove(self)
            params = sys.modules["matplotlib"].rcParams
            # The public lookup would resolve, and thereby choose, a backend.
            if not isinstance(dict.__getitem__(params, "backend"), str):
                params["backend"] = "agg"
        return None
