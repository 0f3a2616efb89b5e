"""Options of libraries, by the functions that they are documented with.

A row is read where its module is loaded, and written after it has been imported again.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

from .row import Row, is_of_cells, loaded

# -- numpy, pandas, matplotlib -----------------------------------------------------


def _numpy_options() -> Any:
    numpy = loaded("numpy")
    return numpy.get_printoptions(), numpy.geterr(), numpy.geterrcall()


def _set_numpy_options(state: Any) -> None:
    numpy = loaded("numpy")
    # Some versions return it and do not take it.
    state[0].pop("override_repr", None)
    numpy.set_printoptions(**state[0])
    numpy.seterr(**state[1])
    numpy.seterrcall(state[2] if len(state) > 2 else None)


def _pandas_options() -> Any:
    config = loaded("pandas._config.config")
    changed = {}
    for name, option in config._registered_options.items():  # noqa: SLF001 - no public list
        if name in config._deprecated_options:  # noqa: SLF001
            continue
        value = loaded("pandas").get_option(name)
        if value is not option.defval and value != option.defval:
            changed[name] = value
    return changed


def _set_pandas_options(state: Any) -> None:
    for name, value in state.items():
        loaded("pandas").set_option(name, value)


def _progress_of_pandas() -> Any:
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    made = getattr(frame, "progress_apply", None)
    if made is None:
        return None
    # What `tqdm.pandas` was called with is known to the function that it made only.
    cells = dict(zip(made.__code__.co_freevars, made.__closure__ or ()))  # noqa: B905 - Python 3.9
    known = {name: cell.cell_contents for name, cell in cells.items()}
    return known.get("cls"), known.get("tqdm_kwargs", {})


def _set_progress_of_pandas(state: Any) -> None:
    bar, options = state
    (bar or importlib.import_module("tqdm.auto").tqdm).pandas(**options)


def _matplotlib_state() -> Any:
    matplotlib = loaded("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parameters = {name: dict.__getitem__(matplotlib.rcParams, name)
                      for name in matplotlib.rcParams}  # fmt: skip
    backend = parameters.pop("backend", None)
    parameters.pop("backend_fallback", None)
    return {
        # Until the first figure it is a sentinel.
        "backend": backend if isinstance(backend, str) else None,
        "pyplot": "matplotlib.pyplot" in sys.modules,
        "loaded": getattr(sys.modules.get("matplotlib.pyplot"), "_backend_mod", None) is not None,
        "parameters": parameters,
    }


def _set_matplotlib_state(state: Any) -> None:
    matplotlib = loaded("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backend = dict.__getitem__(matplotlib.rcParams, "backend")
        if state["backend"] is not None and state["backend"] != backend:
            matplotlib.use(state["backend"])
        if state["pyplot"]:
            pyplot = importlib.import_module("matplotlib.pyplot")
            if state["loaded"] and getattr(pyplot, "_backend_mod", None) is None:
                pyplot.switch_backend(state["backend"])
        known = {name: one for name, one in state["parameters"].items()
                 if name in matplotlib.rcParams}  # fmt: skip
        matplotlib.rcParams.update(known)


def _read_colormaps() -> Any:
    maps = getattr(loaded("matplotlib"), "colormaps", {})
    # Some are there from the beginning; those that libraries register come with their import.
    builtin = getattr(maps, "_builtin_cmaps", ())
    return {name: maps[name] for name in maps if name not in builtin} or None


def _write_colormaps(state: Any) -> None:
    for name, one in state.items():
        if name not in loaded("matplotlib").colormaps:
            loaded("matplotlib").colormaps.register(one, name=name)


def _read_scales() -> Any:
    scales = loaded("matplotlib.scale")._scale_mapping  # noqa: SLF001 - names alone are public
    return [one for one in scales.values() if is_of_cells(one)] or None


def _write_scales(state: Any) -> None:
    for one in state:
        loaded("matplotlib.scale").register_scale(one)


# -- others ------------------------------------------------------------------------


def _read_geopandas() -> Any:
    options = loaded("geopandas").options
    names = ("display_precision", "io_engine")
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def _write_geopandas(state: Any) -> None:
    for name, value in state.items():
        setattr(loaded("geopandas").options, name, value)


def _call(module: str, path: str) -> Callable[..., Any]:
    """Return a function that calls one of a module's, which is looked up by then."""

    def call(*state: Any) -> Any:
        found = loaded(module)
        for name in path.split("."):
            found = getattr(found, name)
        return found(*state)

    return call


_JAX = (
    "jax_enable_x64", "jax_debug_nans", "jax_debug_infs", "jax_disable_jit",
    "jax_check_tracer_leaks", "jax_default_matmul_precision", "jax_default_prng_impl",
    "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_threefry_partitionable",
    "jax_traceback_filtering",
)  # fmt: skip


def _read_jax() -> Any:
    config = loaded("jax").config
    return {name: getattr(config, name) for name in _JAX if hasattr(config, name)}


def _write_jax(state: Any) -> None:
    for name, value in state.items():
        if getattr(loaded("jax").config, name, None) != value:
            loaded("jax").config.update(name, value)


def _read_torch() -> Any:
    torch = loaded("torch")
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


def _write_torch(state: Any) -> None:
    torch = loaded("torch")
    torch.set_default_dtype(state[0])
    torch.set_grad_enabled(state[1])
    torch.use_deterministic_algorithms(state[2])
    torch.set_num_threads(state[3])


def _read_plotly() -> Any:
    io = loaded("plotly.io")
    return io.templates.default, io.renderers.default


def _write_plotly(state: Any) -> None:
    loaded("plotly.io").templates.default, loaded("plotly.io").renderers.default = state


def _read_pint() -> Any:
    registry = loaded("pint").get_application_registry()
    return getattr(registry, "formatter", registry).default_format or None


def _write_pint(state: Any) -> None:
    registry = loaded("pint").get_application_registry()
    getattr(registry, "formatter", registry).default_format = state


def _read_astropy() -> Any:
    conf = loaded("astropy").conf
    return {name: getattr(conf, name) for name in conf.keys()}  # noqa: SIM118 - it is no dict


def _write_astropy(state: Any) -> None:
    for name, value in state.items():
        if getattr(loaded("astropy").conf, name) != value:
            setattr(loaded("astropy").conf, name, value)


def _read_keras() -> Any:
    config = loaded("keras").config
    return config.floatx(), config.image_data_format()


def _write_keras(state: Any) -> None:
    loaded("keras").config.set_floatx(state[0])
    loaded("keras").config.set_image_data_format(state[1])


ROWS: dict[str, Row] = {
    "the options of numpy": Row("numpy", _numpy_options, _set_numpy_options),
    "the options of pandas": Row("pandas", _pandas_options, _set_pandas_options),
    # A figure that is loaded belongs to the backend chosen by then. Set again afterwards, because
    # modules change settings when they are imported.
    "the settings of matplotlib": Row(
        "matplotlib", _matplotlib_state, _set_matplotlib_state, is_early=True
    ),
    "the colormaps of matplotlib": Row("matplotlib", _read_colormaps, _write_colormaps),
    "the scales of matplotlib": Row("matplotlib.scale", _read_scales, _write_scales),
    # Before its arrays: they would come back with other types.
    "the configuration of jax": Row("jax", _read_jax, _write_jax, is_early=True),
    "the settings of torch": Row("torch", _read_torch, _write_torch),
    "the configuration of scikit-learn": Row(
        "sklearn",
        lambda: loaded("sklearn").get_config(),
        lambda state: loaded("sklearn").set_config(**state),
    ),
    "the options of xarray": Row(
        "xarray",
        lambda: dict(loaded("xarray").get_options()),
        lambda state: loaded("xarray").set_options(**state),
    ),
    "the configuration of polars": Row(
        "polars",
        _call("polars", "Config.save"),
        _call("polars", "Config.load"),
    ),
    "the templates of plotly": Row("plotly.io", _read_plotly, _write_plotly),
    "the printing of sympy": Row(
        "sympy.printing.printer",
        lambda: dict(loaded("sympy.printing.printer").Printer._global_settings) or None,  # noqa: SLF001
        lambda state: loaded("sympy.printing.printer").Printer.set_global_settings(**state),
    ),
    "the threads of numba": Row(
        "numba",
        _call("numba", "get_num_threads"),
        _call("numba", "set_num_threads"),
    ),
    "the format of pint": Row("pint", _read_pint, _write_pint),
    "the configuration of astropy": Row("astropy", _read_astropy, _write_astropy),
    "the options of geopandas": Row("geopandas", _read_geopandas, _write_geopandas),
    "the configuration of dask": Row(
        "dask",
        lambda: loaded("dask").config.config,
        lambda state: loaded("dask").config.update(loaded("dask").config.config, state),
    ),
    "the configuration of zarr": Row(
        "zarr",
        lambda: loaded("zarr").config.config,
        _call("zarr", "config.update"),
    ),
    "the configuration of keras": Row("keras", _read_keras, _write_keras),
    "tqdm.pandas()": Row("tqdm", _progress_of_pandas, _set_progress_of_pandas),
}

RANDOM: dict[str, Row] = {
    "the random state of numpy": Row(
        "numpy.random",
        lambda: loaded("numpy.random").get_state(legacy=False),
        lambda state: loaded("numpy.random").set_state(state),
    ),
    "the random state of torch": Row(
        "torch",
        _call("torch", "get_rng_state"),
        _call("torch", "set_rng_state"),
    ),
}
