"""What further libraries keep in places of their own: options, files in memory, units."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from typing import Any

from .row import Row, Unkept, call, is_of_cells, loaded

_PLAIN = (bool, int, float, str, type(None), tuple, list, set, dict)


def _changed(values: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in values.items() if type(one) in _PLAIN}


# -- files in memory -------------------------------------------------------------------


def _read_memory(module: Any) -> Any:
    kind = module.MemoryFileSystem
    files = {path: one.getvalue() for path, one in kind.store.items()}
    return (files, list(kind.pseudo_dirs)) if files or len(kind.pseudo_dirs) > 1 else None


def _write_memory(module: Any, state: Any) -> None:
    files = module.MemoryFileSystem()
    for path, data in state[0].items():
        files.pipe_file(path, data)
    files.pseudo_dirs[:] = state[1]


# -- plots -----------------------------------------------------------------------------

# Those that are there from the beginning.
_TEMPLATES = frozenset(
    {
        *("ggplot2", "seaborn", "simple_white", "plotly", "plotly_white", "plotly_dark"),
        *("presentation", "xgridoff", "ygridoff", "gridon", "none"),
    }
)


def _read_templates(io: Any) -> Any:
    return {name: io.templates[name] for name in io.templates if name not in _TEMPLATES} or None


def _write_templates(io: Any, state: Any) -> None:
    for name, one in state.items():
        io.templates[name] = one


def _read_plotnine(options: Any) -> Any:
    found = _changed({name: one for name, one in vars(options).items() if name[0] != "_"})
    return {**found, "current_theme": options.current_theme}


def _write_plotnine(options: Any, state: Any) -> None:
    for name, value in state.items():
        setattr(options, name, value)


def _altair_registries(altair: Any) -> dict[str, Any]:
    found = {name: getattr(altair, name) for name in ("renderers", "data_transformers")}
    for name, module in list(sys.modules.items()):
        if re.fullmatch(r"altair\.vegalite\.v\d+\.theme", name):
            found["themes"] = vars(module)["themes"]
    return {name: one for name, one in found.items() if hasattr(one, "_plugins")}


def _read_altair(altair: Any) -> Any:
    found = {}
    for name, one in _altair_registries(altair).items():
        plugins = {key: value for key, value in one._plugins.items() if is_of_cells(value)}  # noqa: SLF001 - nothing public tells it
        # Its settings for all plugins are in no option.
        found[name] = (plugins, dict(one._global_settings), one.active, dict(one.options))  # noqa: SLF001 - as above
    return found or None


def _write_altair(altair: Any, state: Any) -> None:
    for name, one in _altair_registries(altair).items():
        plugins, settings, active, options = state.get(name, ({}, {}, "", {}))
        for key, value in plugins.items():
            one.register(key, value)
        one._global_settings.update(settings)  # noqa: SLF001 - as above
        if active and (plugins or (one.active, dict(one.options)) != (active, options)):
            one.enable(active, **options)


# The options of elements by their types; those of single ones come with them.
def _read_holoviews(module: Any) -> Any:
    store = module.Store
    trees = store._options.items()  # noqa: SLF001 - nothing public lists them
    changed = {backend: _options_in(tree) for backend, tree in trees}
    return store.current_backend, list(store.renderers), changed


def _options_in(tree: Any) -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for path, node in tree.data.items():
        for group, options in node.groups.items():
            values = _changed(dict(options.kwargs))
            if values:
                found.append((".".join(path), group, values))
    return found


def _write_holoviews(module: Any, state: Any) -> None:
    current, backends, changed = state
    for backend in backends:
        importlib.import_module(f"holoviews.plotting.{_PLOTTING.get(backend, backend)}")
    if current in module.Store.renderers:
        module.Store.set_current_backend(current)
    for backend, listed in changed.items():
        tree = module.Store._options.get(backend)  # noqa: SLF001 - as above
        for path, group, values in listed if tree is not None else ():
            node = tree.data.get(tuple(path.split(".")))
            if node is None:
                continue
            before = node.groups[group]
            if any(before.kwargs.get(name) != value for name, value in values.items()):
                node.groups[group] = module.Options(
                    before.key,
                    allowed_keywords=before.allowed_keywords,
                    merge_keywords=before.merge_keywords,
                    **{**before.kwargs, **values},
                )


_PLOTTING = {"matplotlib": "mpl"}


# -- units -----------------------------------------------------------------------------


def _read_units(units: Any) -> Any:
    known = {
        id(one)
        for name, module in list(sys.modules.items())
        if name.startswith("astropy.") and module is not None
        for one in list(vars(module).values())
    }
    enabled = units.get_current_unit_registry().all_units
    return [one for one in enabled if id(one) not in known] or None


def _write_units(units: Any, state: Any) -> None:
    there = {name for one in units.get_current_unit_registry().all_units for name in one.names}
    new = [one for one in state if not there.intersection(one.names)]
    if new:
        units.add_enabled_units(new)


# -- others ----------------------------------------------------------------------------


def _read_extension_types(module: Any) -> Any:
    found = vars(module).get("_python_extension_types_registry", ())
    return [one for one in found if is_of_cells(type(one))] or None


def _write_extension_types(_: Any, state: Any) -> None:
    for one in state:
        with contextlib.suppress(KeyError, loaded("pyarrow").ArrowKeyError):
            loaded("pyarrow").register_extension_type(one)


def _read_networkx(networkx: Any) -> Any:
    config = networkx.config
    return _changed({name: getattr(config, name) for name in config})


def _write_networkx(networkx: Any, state: Any) -> None:
    for name, value in state.items():
        if getattr(networkx.config, name, value) != value:
            setattr(networkx.config, name, value)


# Ancillas are counted with the quantum ones.
_REGISTERS = ("QuantumRegister", "ClassicalRegister")

# What they have been made to go on with in this process.
_going_on_with: dict[str, int] = {}


def _read_registers(circuit: Any) -> Any:
    return {name: _number_of(getattr(circuit, name)(1)) for name in _REGISTERS}


def _number_of(register: Any) -> int:
    return int(re.sub(r"\D", "", register.name) or 0)


def _write_registers(circuit: Any, state: Any) -> None:
    for name, number in state.items():
        if not number or _going_on_with.get(name) == number:
            continue
        _going_on_with[name] = number
        # It counts where nobody can set it, and each look counts, too.
        kind = getattr(circuit, name)
        last = _number_of(kind(1))
        while last < number - 1:
            last = _number_of(kind(1))
        if last >= number:
            raise ValueError(f"a {name} is given {last + 1} instead of {number}")


def _read_pendulum(pendulum: Any) -> Any:
    days = [getattr(pendulum, name, None) for name in _WEEK]
    return pendulum.get_locale(), days


_WEEK = ("_WEEK_STARTS_AT", "_WEEK_ENDS_AT")


def _write_pendulum(pendulum: Any, state: Any) -> None:
    pendulum.set_locale(state[0])
    for name, day in zip(_WEEK, state[1]):  # noqa: B905 - since Python 3.10
        if day is not None:
            setattr(pendulum, name, day)


_EXTENSIONS = ("doc_extensions", "span_extensions", "token_extensions")


def _read_extensions(module: Any) -> Any:
    found = {name: dict(getattr(module.Underscore, name)) for name in _EXTENSIONS}
    return found if any(found.values()) else None


def _write_extensions(module: Any, state: Any) -> None:
    for name, extensions in state.items():
        getattr(module.Underscore, name).update(extensions)


# Libraries whose tables it adds itself to, and what these are called.
_PLOTTED = {"pandas": "DataFrame", "polars": "DataFrame", "xarray": "Dataset"}


def _read_hvplot(_: Any) -> Any:
    # Its modules leave sys.modules, so that an import in a notebook runs them again.
    kinds = {name: getattr(sys.modules.get(name), kind, None) for name, kind in _PLOTTED.items()}
    return [name for name, kind in kinds.items() if hasattr(kind, "hvplot")] or None


def _write_hvplot(_: Any, state: Any) -> None:
    for name in state:
        importlib.import_module(f"hvplot.{name}")


# In which classes pandas lists the accessors that somebody has registered.
_ACCESSED = ("DataFrame", "Series", "Index")


def _read_accessors(pandas: Any) -> Any:
    kinds = {name: getattr(pandas, name) for name in _ACCESSED}
    found = {
        name: [
            one
            for one in sorted(getattr(kind, "_accessors", ()))
            if is_of_cells(getattr(vars(kind).get(one), "_accessor", None))
        ]
        for name, kind in kinds.items()
    }
    return found if any(found.values()) else None


def _write_accessors(pandas: Any, state: Any) -> None:
    for name, accessors in state.items():
        getattr(pandas, name)._accessors.update(accessors)  # noqa: SLF001 - as pandas does


def _read_dtypes(base: Any) -> Any:
    known = base._registry.dtypes  # noqa: SLF001 - no public list
    return [one for one in known if is_of_cells(one)] or None


def _write_dtypes(base: Any, state: Any) -> None:
    registry = base._registry  # noqa: SLF001 - as above
    for one in state:
        if one not in registry.dtypes:
            registry.register(one)


def _read_styles(styles: Any) -> Any:
    # Those of files are read again.
    own = [name for name in styles.library if name not in styles.available]
    return {name: dict(styles.library[name]) for name in own} or None


def _write_styles(styles: Any, state: Any) -> None:
    for name, style in state.items():
        styles.library[name] = loaded("matplotlib").RcParams(style)


def _set_folders(data: Any, state: Any) -> None:
    data.path[:] = state


def unkept() -> Unkept:
    """Return what lies in databases in memory that no variable holds."""
    found: Unkept = []
    duckdb = sys.modules.get("duckdb")
    if duckdb is not None:
        listed = "select table_name from duckdb_tables() union all "
        listed += "select view_name from duckdb_views() where not internal"
        # Another cursor: the last result of the connection is the notebook's.
        with contextlib.closing(duckdb.default_connection().cursor()) as cursor:
            names = [str(row[0]) for row in cursor.execute(listed).fetchall()]
        if names:
            reason = f"tables in memory are not stored ({', '.join(names[:3])})"
            found.append(("duckdb's default connection", reason))
    logger = getattr(sys.modules.get("loguru"), "logger", None)
    if logger is not None:
        # By itself it has one, which writes to stderr.
        numbers = list(logger._core.handlers)  # noqa: SLF001 - nothing public tells it
        if numbers != [0]:
            reason = "loguru's handlers and levels are not made again"
            found.append(("the handlers of loguru", reason))
    options = getattr(sys.modules.get("ibis"), "options", None)
    if getattr(options, "default_backend", None) is not None:
        found.append(("ibis' default backend", "connections are not made again"))
    return found


ROWS: dict[str, Row] = {
    "the accessors of pandas": Row("pandas", _read_accessors, _write_accessors),
    "the extension types of pandas": Row("pandas.core.dtypes.base", _read_dtypes, _write_dtypes),
    "the styles of matplotlib": Row("matplotlib.style", _read_styles, _write_styles),
    "fsspec's memory file system": Row(
        "fsspec.implementations.memory", _read_memory, _write_memory
    ),
    "the own templates of plotly": Row("plotly.io", _read_templates, _write_templates),
    "the options of plotnine": Row("plotnine.options", _read_plotnine, _write_plotnine),
    "what is enabled in altair": Row("altair", _read_altair, _write_altair),
    "the options of holoviews": Row("holoviews.core.options", _read_holoviews, _write_holoviews),
    "the enabled units of astropy": Row("astropy.units", _read_units, _write_units),
    "the extension types of pyarrow": Row(
        "pyarrow.lib", _read_extension_types, _write_extension_types
    ),
    "the configuration of networkx": Row("networkx", _read_networkx, _write_networkx),
    "the defaults of control": Row(
        "control.config", lambda config: dict(config.defaults), call("defaults.update")
    ),
    "the numbers of qiskit's registers": Row("qiskit.circuit", _read_registers, _write_registers),
    "the folders of nltk": Row("nltk.data", lambda data: list(data.path), _set_folders),
    "the language of humanize": Row(
        "humanize.i18n",
        lambda language: getattr(language._CURRENT, "locale", None),  # noqa: SLF001 - as above
        call("activate"),
    ),
    "the language of pendulum": Row("pendulum", _read_pendulum, _write_pendulum),
    "the configuration of structlog": Row(
        "structlog",
        lambda structlog: structlog.get_config() if structlog.is_configured() else None,
        lambda structlog, state: structlog.configure(**state),
    ),
    "the extensions of spaCy": Row("spacy.tokens.underscore", _read_extensions, _write_extensions),
    "the methods of hvplot": Row("hvplot", _read_hvplot, _write_hvplot),
    "the configuration of xgboost": Row(
        "xgboost", call("get_config"), lambda xgboost, state: xgboost.set_config(**state)
    ),
}
