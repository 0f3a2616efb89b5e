"""Options of libraries, by the functions that they are documented with.

A row is read where its module is loaded, and written after it has been imported again.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

from .row import Row, call, call_each, is_of_cells, loaded

# -- numpy, pandas, matplotlib -----------------------------------------------------


def _numpy_options(numpy: Any) -> Any:
    return numpy.get_printoptions(), numpy.geterr(), numpy.geterrcall()


def _set_numpy_options(numpy: Any, state: Any) -> None:
    # Some versions return it and do not take it.
    state[0].pop("override_repr", None)
    numpy.set_printoptions(**state[0])
    numpy.seterr(**state[1])
    numpy.seterrcall(state[2] if len(state) > 2 else None)


def _pandas_options(pandas: Any) -> Any:
    config = loaded("pandas._config.config")
    changed = {}
    for name, option in config._registered_options.items():  # noqa: SLF001 - no public list
        if name in config._deprecated_options:  # noqa: SLF001
            continue
        value = pandas.get_option(name)
        if value is not option.defval and value != option.defval:
            changed[name] = value
    return changed


def _progress_of_pandas(_: Any) -> Any:
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    made = getattr(frame, "progress_apply", None)
    if made is None:
        return None
    # What `tqdm.pandas` was called with is known to the function that it made only.
    cells = dict(zip(made.__code__.co_freevars, made.__closure__ or ()))  # noqa: B905 - Python 3.9
    known = {name: cell.cell_contents for name, cell in cells.items()}
    return known.get("cls"), known.get("tqdm_kwargs", {})


def _set_progress_of_pandas(_: Any, state: Any) -> None:
    bar, options = state
    (bar or importlib.import_module("tqdm.auto").tqdm).pandas(**options)


def _matplotlib_state(matplotlib: Any) -> Any:
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


def _set_matplotlib_state(matplotlib: Any, state: Any) -> None:
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


def _read_colormaps(matplotlib: Any) -> Any:
    maps = getattr(matplotlib, "colormaps", {})
    # Some are there from the beginning; those that libraries register come with their import.
    builtin = getattr(maps, "_builtin_cmaps", ())
    return {name: maps[name] for name in maps if name not in builtin} or None


def _write_colormaps(matplotlib: Any, state: Any) -> None:
    for name, one in state.items():
        if name not in matplotlib.colormaps:
            matplotlib.colormaps.register(one, name=name)


def _read_scales(module: Any) -> Any:
    scales = module._scale_mapping  # noqa: SLF001 - names alone are public
    return [one for one in scales.values() if is_of_cells(one)] or None


def _write_scales(module: Any, state: Any) -> None:
    for one in state:
        module.register_scale(one)


# -- others ------------------------------------------------------------------------


def _there(target: Any, names: Any) -> dict[str, Any]:
    """Return those of some attributes that this version of a library has."""
    return {name: getattr(target, name) for name in names if hasattr(target, name)}


def _set_changed(target: Any, state: Any) -> None:
    """Set attributes, those only that are other ones now."""
    for name, value in state.items():
        if getattr(target, name) != value:
            setattr(target, name, value)


_JAX = (
    "jax_enable_x64", "jax_debug_nans", "jax_debug_infs", "jax_disable_jit",
    "jax_check_tracer_leaks", "jax_default_matmul_precision", "jax_default_prng_impl",
    "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_threefry_partitionable",
    "jax_traceback_filtering",
)  # fmt: skip


def _write_jax(jax: Any, state: Any) -> None:
    for name, value in state.items():
        if getattr(jax.config, name, None) != value:
            jax.config.update(name, value)


def _read_torch(torch: Any) -> Any:
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


def _write_torch(torch: Any, state: Any) -> None:
    torch.set_default_dtype(state[0])
    torch.set_grad_enabled(state[1])
    torch.use_deterministic_algorithms(state[2])
    torch.set_num_threads(state[3])


def _write_plotly(io: Any, state: Any) -> None:
    io.templates.default, io.renderers.default = state


def _formatter(pint: Any) -> Any:
    """Return what has the format of the registry: itself in older versions."""
    registry = pint.get_application_registry()
    return getattr(registry, "formatter", registry)


def _write_pint(pint: Any, state: Any) -> None:
    _formatter(pint).default_format = state


def _write_keras(keras: Any, state: Any) -> None:
    keras.config.set_floatx(state[0])
    keras.config.set_image_data_format(state[1])


ROWS: dict[str, Row] = {
    "the options of numpy": Row("numpy", _numpy_options, _set_numpy_options),
    "the options of pandas": Row("pandas", _pandas_options, call_each("set_option")),
    # A figure that is loaded belongs to the backend chosen by then. Set again afterwards, because
    # modules change settings when they are imported.
    "the settings of matplotlib": Row(
        "matplotlib", _matplotlib_state, _set_matplotlib_state, is_early=True
    ),
    "the colormaps of matplotlib": Row("matplotlib", _read_colormaps, _write_colormaps),
    "the scales of matplotlib": Row("matplotlib.scale", _read_scales, _write_scales),
    # Before its arrays: they would come back with other types.
    "the configuration of jax": Row(
        "jax", lambda jax: _there(jax.config, _JAX), _write_jax, is_early=True
    ),
    "the settings of torch": Row("torch", _read_torch, _write_torch),
    "the configuration of scikit-learn": Row(
        "sklearn", call("get_config"), lambda sklearn, state: sklearn.set_config(**state)
    ),
    "the options of xarray": Row(
        "xarray",
        lambda xarray: dict(xarray.get_options()),
        lambda xarray, state: xarray.set_options(**state),
    ),
    "the configuration of polars": Row("polars", call("Config.save"), call("Config.load")),
    "the templates of plotly": Row(
        "plotly.io", lambda io: (io.templates.default, io.renderers.default), _write_plotly
    ),
    "the printing of sympy": Row(
        "sympy.printing.printer",
        lambda printing: dict(printing.Printer._global_settings) or None,  # noqa: SLF001
        lambda printing, state: printing.Printer.set_global_settings(**state),
    ),
    "the threads of numba": Row("numba", call("get_num_threads"), call("set_num_threads")),
    "the format of pint": Row(
        "pint", lambda pint: _formatter(pint).default_format or None, _write_pint
    ),
    "the configuration of astropy": Row(
        "astropy",
        lambda astropy: _there(astropy.conf, astropy.conf.keys()),
        lambda astropy, state: _set_changed(astropy.conf, state),
    ),
    "the options of geopandas": Row(
        "geopandas",
        lambda geopandas: _there(geopandas.options, ("display_precision", "io_engine")),
        lambda geopandas, state: _set_changed(geopandas.options, state),
    ),
    "the configuration of dask": Row(
        "dask",
        lambda dask: dask.config.config,
        lambda dask, state: dask.config.update(dask.config.config, state),
    ),
    "the configuration of zarr": Row(
        "zarr", lambda zarr: zarr.config.config, call("config.update")
    ),
    "the configuration of keras": Row(
        "keras",
        lambda keras: (keras.config.floatx(), keras.config.image_data_format()),
        _write_keras,
    ),
    "tqdm.pandas()": Row("tqdm", _progress_of_pandas, _set_progress_of_pandas),
}

RANDOM: dict[str, Row] = {
    "the random state of numpy": Row(
        "numpy.random", lambda random: random.get_state(legacy=False), call("set_state")
    ),
    "the random state of torch": Row("torch", call("get_rng_state"), call("set_rng_state")),
}
