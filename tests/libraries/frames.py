"""Tables, arrays with labels, and databases."""

REQUIREMENTS = (
    *("pandas", "polars", "pyarrow", "xarray", "zarr", "dask[dataframe]", "duckdb"),
    *("ibis-framework[sqlite]", "fsspec", "great-tables", "pandera", "awkward", "sparse"),
    *("numexpr", "tqdm", "jinja2"),
)

NOTEBOOKS = {
    "numpy": """
# arrays, views, records, masked arrays, generators, print options
import numpy as np
rng = np.random.default_rng(7); a = rng.normal(size=(4, 3)); v = a[1:]; rng.random()
m = np.ma.masked_greater(a, 0.5); r = np.rec.array([(1, 'x'), (2, 'y')], names='n,s')
np.set_printoptions(precision=3); np.random.seed(3); f = np.vectorize(lambda x: x + 1)
p = np.poly1d([1, 2, 3]); d = np.array(['2020-01-01'], 'M8[D]'); w = np.ndindex(2, 2)
# %% restart
v[0, 0] = 100; print(a[1], m.mask.sum(), r.s, f([1, 2]), d)
# %%
print(rng.random(3), np.random.random(2), p(3), np.shares_memory(a, v))
# %%
print(list(w))
""",
    "pandas": """
# tables, categories, groups, time series, styles, accessors, options
import pandas as pd, numpy as np
df = pd.DataFrame({'a': [1, 2, 3], 'b': pd.Categorical(['x', 'y', 'x']),
                   't': pd.date_range('2024', periods=3, tz='Europe/Paris')})
df.attrs['unit'] = 'm'; part = df[['a']]; g = df.groupby('b', observed=True); roll = df.a.rolling(2)
style = df.style.format({'a': '{:.2f}'}).highlight_max('a')
pd.options.display.max_rows = 2; pd.set_option('display.float_format', '{:.1f}'.format)
@pd.api.extensions.register_dataframe_accessor('mine')
class Mine:
    def __init__(self, frame): self.frame = frame
    def total(self): return self.frame.a.sum()
multi = df.set_index(['a', 'b']); sparse = pd.arrays.SparseArray([0, 0, 1]); iv = pd.interval_range(0, 3)
df.mine.total()
# %% restart
print(df, df.attrs, df.dtypes)
# %%
print(g.a.sum(), roll.mean().tolist(), df.mine.total(), multi.loc[1], sparse, iv)
# %%
print('1.00' in style.to_html(), pd.Series([1.25]), pd.options.display.max_rows)
""",
    "polars": """
# frames, lazy queries, functions in expressions, accessors, options
import polars as pl
scale = 2
def double(x): return x * scale
df = pl.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', None]})
lazy = df.lazy().filter(pl.col('a') > 1).select(pl.col('a') * 2)
expr = pl.col('a').map_elements(double, return_dtype=pl.Int64)
batch = df.lazy().select(pl.col('a').map_batches(lambda s: s * scale))
pl.Config.set_tbl_rows(2)
@pl.api.register_expr_namespace('mine')
class Mine:
    def __init__(self, expr): self._expr = expr
    def inc(self): return self._expr + 1
@pl.api.register_dataframe_namespace('shape2')
class Shape:
    def __init__(self, df): self._df = df
    def area(self): return self._df.height * self._df.width
e = pl.Series('e', ['a', 'b'], dtype=pl.Enum(['a', 'b']))
sql = pl.SQLContext(frame=df)
df.select(pl.col('a').mine.inc())
# %% restart
print(df, lazy.collect())
# %%
scale = 10; print(df.select(expr)['a'].to_list())
# %%
print(batch.collect()['a'].to_list())
# %%
print(df.select(pl.col('a').mine.inc()), df.shape2.area(), e)
# %%
print(sql.execute('select count(*) from frame').collect())
""",
    "pyarrow": """
# tables, schemas, extension types, compute functions, in-memory files
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq, pyarrow.dataset as ds
table = pa.table({'a': [1, 2, None], 'b': ['x', 'y', 'z']}); schema = table.schema
class Celsius(pa.ExtensionType):
    def __init__(self): super().__init__(pa.float64(), 'mine.celsius')
    def __arrow_ext_serialize__(self): return b''
    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized): return cls()
pa.register_extension_type(Celsius())
temps = pa.ExtensionArray.from_storage(Celsius(), pa.array([1.5, 2.5]))
held = pa.table({'t': temps}); expr = pc.field('a') > 1; d = ds.dataset(table)
buf = pa.BufferOutputStream()
with pa.ipc.new_stream(buf, held.schema) as w: w.write_table(held)
data = buf.getvalue().to_pybytes(); options = pa.csv.ReadOptions if hasattr(pa, 'csv') else None
# %% restart
print(table, pc.sum(table['a']), schema)
# %%
print(type(temps.type).__name__, held.schema)
# %%
print(pa.ipc.open_stream(data).read_all().schema.field('t').type)
# %%
print(table.filter(expr).num_rows)
# %%
print(d.count_rows())
""",
    "xarray": """
# arrays with coordinates, datasets, accessors, options, lazy arrays
import xarray as xr, numpy as np
a = xr.DataArray(np.arange(6.).reshape(2, 3), dims=('x', 'y'), coords={'x': [10, 20]}, name='a')
d = xr.Dataset({'a': a, 'b': ('x', [1, 2])}, attrs={'k': 'v'}); g = d.groupby('x')
@xr.register_dataarray_accessor('mine')
class Mine:
    def __init__(self, one): self._one = one
    def total(self): return float(self._one.sum())
xr.set_options(display_width=60, keep_attrs=True); r = a.rolling(y=2); chunked = a.chunk({'y': 1})
tree = xr.DataTree(d); a.mine.total()
# %% restart
print(d, a.mine.total(), xr.get_options()['display_width'])
# %%
print(g.mean(), r.mean().values, chunked.mean().compute(), (d * 2).attrs, tree)
""",
    "zarr": """
# arrays in memory and in folders, groups, configuration
import zarr, numpy as np
z = zarr.create_array(store={}, shape=(4,), dtype='i4'); z[:] = [1, 2, 3, 4]
s = zarr.open_group('data.zarr', mode='w'); s.create_array('x', shape=(3,), dtype='f8')[:] = 2.5
memory = zarr.storage.MemoryStore(); root = zarr.group(store=memory); root.attrs['k'] = 1
zarr.config.set({'array.order': 'F'})
# %% restart
print(z[:], s['x'][:], list(s), dict(root.attrs))
# %%
print(zarr.config.get('array.order')); z[0] = 9; print(z[:2])
""",
    "dask": """
# delayed calls, arrays, bags, tables, configuration
import dask, dask.array as da, dask.bag as db, dask.dataframe as dd, pandas as pd
dask.config.set(scheduler='synchronous')
def inc(x): return x + offset
offset = 1
x = da.arange(10, chunks=5) * 2; lazy = dask.delayed(inc)(3); b = db.from_sequence([1, 2, 3]).map(inc)
df = dd.from_pandas(pd.DataFrame({'a': [1, 2, 3]}), npartitions=2)
dask.config.set({'array.slicing.split-large-chunks': True})
# %% restart
print(x.sum().compute(), lazy.compute(), b.compute(), df.a.sum().compute())
# %%
offset = 5; print(lazy.compute(), dask.config.get('scheduler'))
# %%
print(dask.config.get('array.slicing.split-large-chunks'), x.name[:6], df.divisions)
""",
    "duckdb": """
# results and tables in files; connections in memory are named
import duckdb
duckdb.sql('create table t as select 1 as a'); frame = duckdb.sql('select a from t').df()
con = duckdb.connect('file.db'); con.sql('create or replace table u as select 2 as b'); con.close()
mem = duckdb.connect(); mem.sql('create table m as select 3 as c'); rel = duckdb.sql('select 4 as d')
# %% restart
print(frame)
# %%
# needs: duckdb's default connection
print(duckdb.sql('select * from t').fetchall())
# %%
with duckdb.connect('file.db') as again: print(again.sql('select * from u').fetchall())
# %%
print(mem.sql('select * from m').fetchall())
# %%
print(rel.fetchall())
""",
    "ibis-framework": """
# expressions and tables in memory; tables of a database in memory are named
import ibis, pandas as pd
from ibis import _
ibis.options.interactive = False; ibis.set_backend('sqlite')
t = ibis.memtable({'a': [1, 2, 3]}); e = t.filter(_.a > 1).a.sum(); schema = ibis.schema({'x': 'int64'})
con = ibis.sqlite.connect(); con.raw_sql('create table u (b integer)').close(); u = con.table('u'); unbound = ibis.table(schema, 'n')
filed = ibis.sqlite.connect('filed.db'); filed.raw_sql('create table w (c integer)').close(); w = filed.table('w')
print(e.execute())
# %% restart
# needs: ibis' default backend
print(e.execute())
# %%
# needs: ibis' default backend
print(t.execute())
# %%
print(u.execute())
# %%
print(schema, ibis.to_sql(unbound.x.sum()))
# %%
print('u' in con.list_tables())
# %%
print(filed.list_tables(), w.columns, len(w.execute()))
""",
    "fsspec": """
# files in folders, mappers; the memory file system is named
import fsspec
fs = fsspec.filesystem('memory'); fs.pipe('/a/b.txt', b'in memory')
local = fsspec.filesystem('file'); local.pipe('here.txt', b'in a file')
m = fsspec.get_mapper('folder'); m['k'] = b'value'
of = fsspec.open('here.txt')
# %% restart
print(local.cat('here.txt')[-9:], m['k'])
# %%
# needs: fsspec's memory file system
print(fs.cat('/a/b.txt'))
# %%
with of as f: print(f.read())
""",
    "great-tables": """
# tables for reading, with formats and styles
import great_tables as gt, pandas as pd
df = pd.DataFrame({'a': [1.25, 2.5], 'b': ['x', 'y']})
t = gt.GT(df).fmt_number('a', decimals=1).tab_header('Title').cols_label(b='B')
t2 = t.tab_style(gt.style.fill('red'), gt.loc.body(columns='a'))
# %% restart
print('Title' in t.as_raw_html(), '1.2' in t.as_raw_html(), 'red' in t2.as_raw_html())
# %%
print('2' in t.fmt_integer('a').as_raw_html(), t._tbl_data is not None)
""",
    "pandera": """
# schemas with checks of cells
import pandas as pd, pandera.pandas as pa
limit = 3
schema = pa.DataFrameSchema({'a': pa.Column(int, pa.Check(lambda s: s < limit))})
class Model(pa.DataFrameModel):
    b: float = pa.Field(ge=0)
    @pa.check('b')
    def small(cls, s): return s < limit
good = pd.DataFrame({'a': [1, 2]})
print(schema.validate(good).shape)
# %% restart
print(schema.validate(good).shape, Model.validate(pd.DataFrame({'b': [1.0]})).shape)
# %%
limit = 2
try: schema.validate(good)
except pa.errors.SchemaError as error: print('refused', error.check_output.tolist())
""",
    "awkward": """
# arrays of lists and records, behaviours of classes
import awkward as ak, numpy as np
a = ak.Array([[1, 2], [], [3]]); r = ak.Array([{'x': 1, 'y': [1.5]}, {'x': 2, 'y': []}])
class Point(ak.Record):
    def norm(self): return abs(self.x)
ak.behavior['point'] = Point; p = ak.Record({'x': -3}, with_name='point'); print(p.norm())
# %% restart
print(ak.sum(a, axis=1), r.x, a.type)
# %%
print(p.norm(), type(p) is Point)
""",
    "sparse": """
# sparse arrays of many dimensions
import sparse, numpy as np
s = sparse.COO.from_numpy(np.eye(3)); d = sparse.DOK((2, 2)); d[0, 1] = 5; g = sparse.GCXS(s)
# %% restart
print(s.nnz, (s + s).todense().tolist(), d[0, 1], g.nnz)
""",
    "numexpr": """
# compiled expressions
import numexpr as ne, numpy as np
a = np.arange(5.); e = ne.NumExpr('a * 2 + 1'); ne.set_num_threads(1)
# %% restart
print(ne.evaluate('a ** 2'), ne.utils.get_vml_num_threads() is None or True)
# %%
print(e(a), ne.nthreads)
""",
    "tqdm": """
# progress of pandas, bars
import pandas as pd, sys
from tqdm import tqdm
tqdm.pandas(desc='mine', file=sys.stderr); df = pd.DataFrame({'a': [1, 2]})
bar = tqdm(total=10, file=sys.stderr, mininterval=100); bar.update(4)
# %% restart
print(df.progress_apply(lambda c: c.sum()).tolist())
# %%
bar.update(2); print(bar.n, bar.total)
""",
}
