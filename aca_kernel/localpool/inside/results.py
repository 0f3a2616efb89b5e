"""Turns what a request left behind into JSON: its value, its figures, its exception."""

from __future__ import annotations

import base64
import json
import linecache
import math
import os
import sys
import traceback
from typing import Any

_HERE = os.path.dirname(__file__)


# What display() showed during the request, see ipython_mode.py.
_shown: list[dict[str, str]] = []


def show(png: bytes) -> None:
    """Add an image to the result of this request."""
    _shown.append(_image(png))


def to_json(value: Any) -> Any:
    """Return the executionResult: images shown and open figures if any, else the value.

    Values that JSON knows stay what they are, nan and infinities become strings,
    images become {"type": "image", "format": "png", "base64_data"}, and everything
    else becomes its repr. Several figures become a list of images.
    """
    figures = _shown + _take_figures()
    _shown.clear()
    if figures:
        return figures[0] if len(figures) == 1 else figures
    if value is None:
        return None
    image = _png_of(value)
    if image is not None:
        return _image(image)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    try:
        # Proves that the value is JSON, in C; a second time in the frame is cheaper
        # than walking it here.
        json.dumps(value, allow_nan=False)
    except (TypeError, RecursionError, OverflowError):
        return repr(value)
    except ValueError:
        return _without_nan(value)
    return value


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return repr(value)
    return value


def _image(data: bytes) -> dict[str, str]:
    text = base64.b64encode(data).decode("ascii")
    return {"type": "image", "format": "png", "base64_data": text}


def _png_of(value: Any) -> bytes | None:
    figure_module = sys.modules.get("matplotlib.figure")
    if figure_module is not None and isinstance(value, figure_module.Figure):
        return _figure_png(value)
    method = getattr(type(value), "_repr_png_", None)
    if method is None:
        return None
    data = method(value)
    if isinstance(data, tuple):  # (data, metadata)
        data = data[0]
    if isinstance(data, str):
        return base64.b64decode(data)
    return data if isinstance(data, bytes) else None


def _figure_png(figure: Any) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def _take_figures() -> list[dict[str, str]]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    # While pyplot is half imported (its import failed) it has no figures yet.
    numbers: list[int] = getattr(pyplot, "get_fignums", list)()
    if not numbers:
        return []
    try:
        return [_image(_figure_png(pyplot.figure(number))) for number in numbers]  # type: ignore[union-attr]
    finally:
        pyplot.close("all")  # type: ignore[union-attr]


def describe_error(error: BaseException) -> dict[str, str]:
    """Return {"name", "message", "stackTrace"} without the frames of this program."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  a __str__ of the user's
        message = "<the exception has no text>"
    try:
        linecache.checkcache()
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # noqa: BLE001  as above, in a __repr__ or a __cause__
        text = f"{type(error).__name__}: {message}\n"
    return {"name": type(error).__name__, "message": message, "stackTrace": text}
