"""`python -m tests.libraries.opening [NAME…]`: libraries that open files in C find the notebook's.

Each makes a file in a notebook's folder, and reads it there in a plain Python; a cell of the kernel
`aca` must show the same. Names stand in variables, so that no text gives them away. The same files
lie in a folder that git ignores and under a hidden name, where no cell may find them. All of them
need 1.5 GB in `--folder` (a temporary one otherwise), where the environment stays for the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REQUIREMENTS = (
    *("polars", "duckdb", "h5py", "h5netcdf", "netCDF4", "lxml", "tables", "xarray", "zarr"),
    *("opencv-python-headless", "rasterio", "fiona", "pyogrio", "geopandas", "pyarrow", "pandas"),
    *("soundfile", "ray"),
)

# What makes files in the working directory, and expressions that read them below `at`.
LIBRARIES: dict[str, tuple[str, dict[str, str]]] = {
    "polars": (
        """
import polars as pl
for name in ("a", "b"):
    frame = pl.DataFrame({"x": [1, 2]})
    frame.write_csv(name + ".csv"); frame.write_parquet(name + ".parquet")
    frame.write_ndjson(name + ".ndjson"); frame.write_ipc(name + ".ipc")
""",
        {
            "pl.read_csv(at + 'a.csv').to_dicts()": "read_csv",
            "pl.scan_csv(at + 'b.csv').collect().to_dicts()": "scan_csv",
            "pl.scan_parquet(at + '*.parquet').collect().to_dicts()": "a pattern",
            "pl.read_ndjson(at + 'a.ndjson').to_dicts()": "read_ndjson",
            "pl.read_ipc(at + 'a.ipc').to_dicts()": "read_ipc",
        },
    ),
    "duckdb": (
        """
import duckdb
duckdb.sql("copy (select 1 as x) to 'd.csv'"); duckdb.sql("copy (select 2 as x) to 'e.csv'")
duckdb.sql("copy (select 3 as x) to 'd.parquet'")
with duckdb.connect("d.duckdb") as con: con.sql("create table t as select 4 as x")
""",
        {
            "duckdb.sql(f\"select * from '{at}d.csv'\").fetchall()": "a file in SQL",
            "duckdb.sql(f\"select sum(x) from '{at}*.csv'\").fetchall()": "a pattern in SQL",
            "duckdb.connect().execute(f\"select * from '{at}d.parquet'\").fetchall()": "execute",
            "duckdb.read_csv(at + 'e.csv').fetchall()": "read_csv",
            "duckdb.connect(at + 'd.duckdb', read_only=True).sql('from t').fetchall()": "a database",
            "(lambda mine: duckdb.sql('select * from mine').fetchall())"
            "(duckdb.sql(f\"from '{at}d.csv'\"))": "a variable of the frame",
        },
    ),
    "h5py": (
        "import h5py\nwith h5py.File('h.h5', 'w') as file: file['x'] = [1, 2]",
        {"h5py.File(at + 'h.h5')['x'][:].tolist()": "File"},
    ),
    "tables": (
        "import tables\nwith tables.open_file('t.h5', 'w') as f: f.create_array('/', 'x', [1, 2])",
        {"tables.open_file(at + 't.h5').root.x[:]": "open_file"},
    ),
    "netCDF4": (
        """
import netCDF4, xarray
xarray.Dataset({"x": ("n", [1, 2])}).to_netcdf("n.nc")
xarray.Dataset({"x": ("n", [3, 4])}).to_netcdf("o.nc")
""",
        {
            "netCDF4.Dataset(at + 'n.nc')['x'][:].tolist()": "Dataset",
            "isinstance(netCDF4.Dataset(at + 'n.nc'), netCDF4.Dataset)": "its class",
            "xarray.open_dataset(at + 'o.nc').x.values.tolist()": "open_dataset of xarray",
        },
    ),
    "xarray": (
        """
import xarray
xarray.Dataset({"x": ("n", [1, 2])}).to_netcdf("x1.nc")
xarray.Dataset({"x": ("n", [5, 6])}).to_zarr("x.zarr")
""",
        {
            "xarray.open_dataset(at + 'x1.nc', engine='h5netcdf').x.values.tolist()": "h5netcdf",
            "xarray.open_zarr(at + 'x.zarr').x.values.tolist()": "zarr",
        },
    ),
    "cv2": (
        "import cv2, numpy\ncv2.imwrite('c.png', numpy.full((2, 3, 3), 9, 'uint8'))",
        {"cv2.imread(at + 'c.png').sum().item()": "imread"},
    ),
    "lxml": (
        "open('l.xml', 'w').write('<a><b>1</b></a>')\nimport lxml.etree, lxml.html",
        {
            "lxml.etree.parse(at + 'l.xml').getroot()[0].text": "parse",
            "[one[1].tag for one in lxml.etree.iterparse(at + 'l.xml')]": "iterparse",
        },
    ),
    "rasterio": (
        """
import numpy, rasterio
with rasterio.open("r.tif", "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8") as f:
    f.write(numpy.ones((1, 2, 2), "uint8"))
""",
        {"rasterio.open(at + 'r.tif').read().sum().item()": "open"},
    ),
    "geopandas": (
        """
import geopandas, fiona, pyogrio
from shapely.geometry import Point
frame = geopandas.GeoDataFrame({"x": [1]}, geometry=[Point(1, 2)], crs=4326)
frame.to_file("g.shp"); frame.to_file("g.gpkg")
frame.to_file("p.shp"); frame.to_file("f.shp")
""",
        {
            "geopandas.read_file(at + 'g.shp').to_json()": "a shapefile",
            "geopandas.read_file(at + 'g.gpkg').to_json()": "a geopackage",
            "pyogrio.read_dataframe(at + 'p.shp').to_json()": "pyogrio",
            "dict(next(iter(fiona.open(at + 'f.shp')))['properties'])": "fiona",
        },
    ),
    "pyarrow": (
        """
import os, pyarrow as pa, pyarrow.fs, pyarrow.parquet, pyarrow.dataset
os.makedirs("set", exist_ok=True)
for n in (1, 2): pyarrow.parquet.write_table(pa.table({"x": [n]}), f"set/{n}.parquet")
open("fs.txt", "w").write("text")
""",
        {
            "pyarrow.fs.LocalFileSystem().open_input_file(at + 'fs.txt').read()": "open_input_file",
            "pyarrow.fs.LocalFileSystem().open_input_stream(at + 'fs.txt').read()": "a stream",
            "sorted(pyarrow.dataset.dataset(at + 'set').to_table()['x'].to_pylist())": "a data set",
        },
    ),
    "soundfile": (
        "import soundfile\nsoundfile.write('s.wav', [[0.5], [0.25]], 8000)",
        {"soundfile.read(at + 's.wav')[0].tolist()": "read"},
    ),
    # Not a reader, but its workers begin anew.
    "ray": (
        "import ray\nopen('w.txt', 'w').write('text')",
        {"ray.get(ray.remote(lambda name: open(name).read()).remote(at + 'w.txt'))": "a worker"},
    ),
}

# What lies where no cell may find it.
HIDDEN = ("ignored/", ".hidden/")


def main() -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.libraries.opening", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")
    parser.add_argument("--folder", type=Path, help="keep the environment here")
    parser.add_argument("--here", action="store_true", help="in this Python, which has them all")
    options = parser.parse_args()
    if options.here:
        return run_here(options.names or list(LIBRARIES))
    from tests.clients.foreign.place import ROOT, make_python

    folder = options.folder or Path(tempfile.mkdtemp(prefix="opening-"))
    python = make_python(folder / "venv", REQUIREMENTS)
    words = [python, "-m", "tests.libraries.opening", "--here", *options.names]
    jupyter = {"JUPYTER_PATH": str(folder / "venv" / "share" / "jupyter")}
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **jupyter}, check=False).returncode


def run_here(names: list[str]) -> int:
    """Run some libraries in this Python's environment."""
    wrong = 0
    for name in names:
        make, reads = LIBRARIES[name]
        folder = Path(tempfile.mkdtemp(prefix="notebook-"))
        (folder / ".gitignore").write_text("ignored/\n")
        imports = "\n".join(line for line in make.splitlines() if line.startswith("import "))
        for place in ("", *HIDDEN):
            (folder / place).mkdir(exist_ok=True)
            plain(make, folder / place)
        code = "; ".join(f"print(repr({expression}))" for expression in reads)
        expected = plain(f"{imports}\nat = ''\n{code}", folder).splitlines()
        for (expression, title), value in zip(reads.items(), expected, strict=True):
            # One kernel for each, so that none finds what another has brought.
            found = in_cells(folder, imports, expression)
            is_right = found[0] == value and value not in found[1:]
            wrong += not is_right
            print(
                f"{name}: {title}: {'found' if is_right else f'WRONG {found} {value}'}", flush=True
            )
    print(f"{wrong} wrong")
    return 1 if wrong else 0


def plain(code: str, folder: Path) -> str:
    """Run code in a folder without a kernel; return what it prints."""
    words = [sys.executable, "-c", code]
    return subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def in_cells(folder: Path, imports: str, expression: str) -> list[str]:
    """Return what cells show for an expression, first where it may be found."""
    from jupyter_client.manager import start_new_kernel

    os.chdir(folder)
    manager, client = start_new_kernel(kernel_name="aca", startup_timeout=180)
    shown: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "execute_result":
            shown.append(content["data"]["text/plain"].replace("\n", ""))
        elif kind == "error":
            shown.append(f"{content['ename']}: {content['evalue']}")

    try:
        client.execute_interactive(imports, output_hook=keep, timeout=180)
        for place in ("", *HIDDEN):
            code = f"at = {place!r}\nprint_ = repr({expression})\nprint_.encode().hex()"
            client.execute_interactive(code, output_hook=keep, timeout=180)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return [_decoded(one) for one in shown]


def _decoded(text: str) -> str:
    try:
        return bytes.fromhex(json.loads(text.replace("'", '"'))).decode()
    except ValueError:  # an error
        return text


if __name__ == "__main__":
    sys.exit(main())
