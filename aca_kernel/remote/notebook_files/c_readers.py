"""Libraries that open files in C or Rust, which no audit event tells of.

Their readers are wrapped when the library is imported: what is missing comes when a reader is
called. Nothing is read from the cell's text, so that a name in a variable is found as well. A call
without a missing name costs no question.

A library is a row of READERS; a name that its version does not have is passed over.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from . import is_quiet
from .fetching import bring_tree
from .hinting import tell_missed
from .mirror import Mirror, Refused
from .missing_errors import MissingFile
from .outside import Outside
from .paths import text_of

# Readers by module: functions, classes, and methods as `Class.method`. "paths": an argument is one,
# several or a pattern; "sql": or a text with such in quotes; "beside": files of the same name with
# other suffixes are read with it.
READERS: dict[str, dict[str, str]] = {
    "polars": {
        "paths": "read_avro read_csv read_csv_batched read_ipc read_ipc_schema read_ipc_stream "
        "read_json read_lines read_ndjson read_ods read_excel read_parquet read_parquet_metadata "
        "read_parquet_schema scan_csv scan_ipc scan_lines scan_ndjson scan_parquet read_delta "
        "scan_delta scan_iceberg"
    },
    "duckdb": {
        "sql": "sql query execute executemany from_query query_df read_csv read_json read_parquet "
        "from_csv_auto from_parquet connect DuckDBPyConnection.sql DuckDBPyConnection.query "
        "DuckDBPyConnection.execute DuckDBPyConnection.executemany "
        "DuckDBPyConnection.from_query DuckDBPyConnection.read_csv DuckDBPyConnection.read_json "
        "DuckDBPyConnection.read_parquet DuckDBPyConnection.from_csv_auto "
        "DuckDBPyConnection.from_parquet"
    },
    "h5py": {"paths": "File"},
    "tables": {"paths": "open_file is_hdf5_file is_pytables_file"},
    "netCDF4": {"paths": "Dataset MFDataset"},
    "h5netcdf": {"paths": "File"},
    "xarray": {
        "paths": "open_dataset open_dataarray open_datatree open_groups open_mfdataset open_zarr "
        "load_dataset load_dataarray load_datatree"
    },
    "zarr": {"paths": "open open_array open_group load open_consolidated"},
    "cv2": {
        "paths": "imread imreadmulti imcount haveImageReader VideoCapture FileStorage "
        "CascadeClassifier"
    },
    "cv2.dnn": {
        "paths": "readNet readNetFromONNX readNetFromCaffe readNetFromDarknet readNetFromTensorflow"
    },
    "lxml.etree": {"paths": "parse iterparse XMLSchema RelaxNG Schematron DTD"},
    "lxml.objectify": {"paths": "parse"},
    "lxml.html": {"paths": "parse"},
    "rasterio": {"beside": "open"},
    "fiona": {"beside": "open listlayers"},
    "pyogrio": {"beside": "read_dataframe read_arrow open_arrow read_info read_bounds list_layers"},
    "geopandas": {"beside": "read_file list_layers", "paths": "read_parquet read_feather"},
    "osgeo.gdal": {"beside": "Open OpenEx OpenShared Info Translate Warp VectorTranslate"},
    "osgeo.ogr": {"beside": "Open OpenShared"},
    "pyarrow.fs": {
        "paths": "LocalFileSystem.open_input_file LocalFileSystem.open_input_stream "
        "LocalFileSystem.get_file_info FileSystem.from_uri"
    },
    "deltalake": {"paths": "DeltaTable"},
    "soundfile": {"paths": "SoundFile read info blocks"},
    "pyreadstat": {"paths": "read_sav read_dta read_sas7bdat read_xport read_por read_sas7bcat"},
    "pysam": {"beside": "AlignmentFile VariantFile FastaFile FastxFile TabixFile"},
    "SimpleITK": {"paths": "ReadImage"},
    "pymupdf": {"paths": "open Document"},
    "fitz": {"paths": "open Document"},
    "pypdfium2": {"paths": "PdfDocument"},
    "pyvips": {"paths": "Image.new_from_file"},
    "av": {"paths": "open"},
    "safetensors": {"paths": "safe_open"},
    "tokenizers": {"paths": "Tokenizer.from_file"},
    "sentencepiece": {"paths": "SentencePieceProcessor"},
    "fasttext": {"paths": "load_model"},
    "onnxruntime": {"paths": "InferenceSession"},
    "onnx": {"paths": "load"},
    "lightgbm": {"paths": "Dataset Booster"},
    "xgboost": {"paths": "DMatrix QuantileDMatrix Booster Booster.load_model"},
    "catboost": {"paths": "Pool CatBoost.load_model"},
}

# More than these are no list of files but data.
_MOST_NAMES = 1000
_LONGEST_NAME = 4096

# Text in quotes of SQL, doubled where it holds one.
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")


# Arguments that are names besides the first; others only with a suffix.
_NAMED = frozenset(
    ("source", "sources", "path", "paths", "file", "files", "filename", "filename_or_obj",
     "filename_or_file", "filepath", "fname", "fp", "name", "database", "query", "sql", "pathname",
     "path_or_bytes", "path_or_buffer", "path_or_dataframe", "path_or_paths", "store",
     "table_uri", "url")
)  # fmt: skip
_SUFFIXED = re.compile(r"[^\s/]\.[A-Za-z]\w{0,11}$")

# Of files that are made anew.
_WRITING = frozenset({"w", "w-", "x", "wb", "w+", "wt"})

# In front of a name: `zip://`, `/vsizip/`, `NETCDF:`.
_PREFIX = re.compile(
    r"^(?:file|zip|tar|gzip)(?:\+\w+)*://|^/vsi(?:zip|tar|gzip|sparse)/", re.IGNORECASE
)
_ARCHIVE = re.compile(r"^(.*?\.(?:zip|tar|tgz|kmz|gz))(?:[/!]|$)", re.IGNORECASE)


def patches(mirror: Mirror, outside: Outside) -> dict[str, Callable[[Any], None]]:
    """Return what wraps the readers of each library, by the names of modules."""
    return {
        name: functools.partial(_patch, _Bringing(mirror, outside), readers)
        for name, readers in READERS.items()
    }


class _Bringing:
    """What is done before a reader is called."""

    def __init__(self, mirror: Mirror, outside: Outside) -> None:
        self._mirror = mirror
        self._outside = outside

    def before(self, kind: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Bring what arguments name. Raises MissingFile: it cannot come, and none is here."""
        __tracebackhide__ = True
        if is_quiet() or _is_writing(arguments, named):
            return
        try:
            for name in _names(kind, arguments, named):
                self._bring(kind, name)
        except MissingFile:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._mirror.tell_failure("a reader failed", error)

    def _bring(self, kind: str, name: str) -> None:
        __tracebackhide__ = True
        mirror = self._mirror
        if mirror.inside(name) is None:
            self._outside.tell(name)
        if mirror.is_hinting:
            # The library's own error, if there is one, may not name the file.
            tell_missed(mirror, name)
            return
        found = [name]
        if glob.has_magic(name) and not os.path.lexists(name):
            found = sorted(glob.glob(name, recursive=True))[:_MOST_NAMES]
        for path in found:
            relative = mirror.inside(path)
            if relative:
                bring_tree(mirror, path, relative, with_links=True)
                if kind == "beside":
                    self._bring_beside(relative)

    def _bring_beside(self, relative: str) -> None:
        """Bring the other files of a data set, such as the index and table of a shapefile."""
        folder, name = os.path.split(relative)
        stem = os.path.splitext(name)[0] + "."
        for other, item in (self._mirror.names(folder) or {}).items():
            if other.startswith(stem) and other != name and not item.is_folder:
                with contextlib.suppress(Refused):
                    self._mirror.bring(f"{folder}/{other}" if folder else other)


def _is_writing(arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
    mode = named.get("mode", arguments[1] if len(arguments) > 1 else None)
    return isinstance(mode, str) and mode in _WRITING


def _names(kind: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[str]:
    """Yield what may be names of files, each once."""
    found: dict[str, None] = {}
    for place, value in enumerate(arguments):
        found.update(dict.fromkeys(_texts(kind, value, is_name=place == 0)))
    for name, value in named.items():
        found.update(dict.fromkeys(_texts(kind, value, is_name=name in _NAMED)))
    yield from found


def _texts(kind: str, value: Any, *, is_name: bool) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        for one in value[:_MOST_NAMES]:
            yield from _texts(kind, one, is_name=is_name)
        return
    if not isinstance(value, (str, os.PathLike)):
        return
    text = text_of(value)
    if kind == "sql" and any(character in text for character in "'\""):
        yield from _in_quotes(text)
    elif is_name or _SUFFIXED.search(text):
        yield from _plain(text)


def _in_quotes(text: str) -> Iterator[str]:
    for single, double in _QUOTED.findall(text):
        name = single.replace("''", "'") or double.replace('""', '"')
        if _SUFFIXED.search(name) or glob.has_magic(name):
            yield from _plain(name)


def _plain(text: str) -> Iterator[str]:
    """Yield the name of a file in a text that is one, or an address of one."""
    name = _PREFIX.sub("", text)
    archive = _ARCHIVE.match(name) if name != text else None
    name = archive[1] if archive else name
    if name and len(name) <= _LONGEST_NAME and "://" not in name and name.isprintable():
        yield name


# -- wrapping ----------------------------------------------------------------------


def _patch(bringing: _Bringing, readers: dict[str, str], module: Any) -> None:
    for kind, names in readers.items():
        for name in names.split():
            holder, _, attribute = name.rpartition(".")
            owner = getattr(module, holder, None) if holder else module
            original = getattr(owner, attribute, None)
            if original is None:  # of another version
                continue
            before = functools.partial(bringing.before, kind)
            if isinstance(original, type):
                _wrap_class(before, owner, original)
            elif holder:
                _wrap_method(before, module, owner, attribute)
            else:
                reader = _wrapped(before, original, kind=kind)
                # Pickled by this name.
                reader.__module__, reader.__qualname__ = module.__name__, attribute
                setattr(owner, attribute, reader)


def _wrapped(
    before: Callable[..., None], original: Callable[..., Any], *, own: int = 0, kind: str = ""
) -> Any:
    """Return a function that brings what its arguments name. own: arguments before those."""
    call = _call_as_caller if kind == "sql" else _call

    @functools.wraps(original)
    def reader(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        before(arguments[own:], named)
        return call(original, arguments, named)

    return reader


def _call(original: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    __tracebackhide__ = True
    return original(*arguments, **named)


def _call_as_caller(original: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Call a function that looks for tables among the variables of the frame that calls it."""
    __tracebackhide__ = True
    frame = sys._getframe(2)  # noqa: SLF001 - behind `reader`
    names = {**frame.f_locals, "_aca_call": (original, arguments, named)}
    return eval(_CALL, frame.f_globals, names)  # noqa: S307 - the text is ours


_CALL = compile("_aca_call[0](*_aca_call[1], **_aca_call[2])", "<reader>", "eval")


def _wrap_method(before: Callable[..., None], module: Any, owner: Any, name: str) -> None:
    raw = owner.__dict__.get(name)
    if isinstance(raw, (staticmethod, classmethod)):
        method: Any = staticmethod(_wrapped(before, getattr(owner, name)))
    else:
        # Of a method, DuckDB's frame is looked for in the same way.
        kind = "sql" if module.__name__ == "duckdb" else ""
        method = _wrapped(before, getattr(owner, name), own=1, kind=kind)
    try:
        setattr(owner, name, method)
    except TypeError:  # of C
        _replace_class(module, owner, {name: method})


def _wrap_class(before: Callable[..., None], owner: Any, original: type[Any]) -> None:
    """Bring what is named before an object is made."""
    try:
        original.__init__ = _wrapped(before, original.__init__, own=1)
    except TypeError:  # of C
        _replace_class(owner, original, {}, before)


def _replace_class(
    module: Any,
    original: type[Any],
    members: dict[str, Any],
    before: Callable[..., None] | None = None,
) -> None:
    """Put a subclass of a class of C into a module; objects of the original count as its own."""

    class Reader(type(original)):  # type: ignore[misc]
        def __call__(cls, *arguments: Any, **named: Any) -> Any:
            __tracebackhide__ = True
            if before is not None:
                before(arguments, named)
            return super().__call__(*arguments, **named)

        def __instancecheck__(cls, instance: Any) -> bool:
            if cls is replacement:
                return isinstance(instance, original)
            return bool(super().__instancecheck__(instance))

        def __subclasscheck__(cls, subclass: Any) -> bool:
            if cls is replacement:
                return issubclass(subclass, original)
            return bool(super().__subclasscheck__(subclass))

    about = {"__module__": original.__module__, "__doc__": original.__doc__}
    try:
        replacement = Reader(original.__name__, (original,), {**members, **about})
    except TypeError:  # it allows no subclass
        return
    replacement.__qualname__ = original.__qualname__
    setattr(module, original.__name__, replacement)
