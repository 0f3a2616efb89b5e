"""Shapes and maps."""

REQUIREMENTS = ("shapely", "geopandas", "pyproj", "rasterio")

NOTEBOOKS = {
    "shapely": """
# shapes, prepared shapes, trees
import shapely, numpy as np
from shapely.geometry import Point, Polygon
from shapely.prepared import prep
p = Polygon([(0, 0), (2, 0), (2, 2)]); pts = shapely.points(np.arange(6.).reshape(3, 2)); tree = shapely.STRtree(pts); fast = prep(p)
# %% restart
print(p.area, pts, tree.query(p), p.contains(Point(1.5, 1)))
# %%
print(fast.contains(Point(1.5, 1)))
""",
    "geopandas": """
# tables of shapes with their systems, indexes, options
import geopandas as gpd
from shapely.geometry import Point
g = gpd.GeoDataFrame({'n': ['a', 'b']}, geometry=[Point(0, 0), Point(1, 1)], crs='EPSG:4326'); s = g.geometry; g.sindex; gpd.options.display_precision = 2; g.set_geometry('geometry')
# %% restart
print(g, g.crs.to_epsg(), s.crs == g.crs, g.to_crs(3857).geometry.iloc[1].x // 1)
# %%
print(g.sindex.query(Point(1, 1).buffer(0.1)), g.sjoin(g).shape, gpd.options.display_precision)
""",
    "pyproj": """
# systems, transformers, ellipsoids
import pyproj
crs = pyproj.CRS(4326); tr = pyproj.Transformer.from_crs(4326, 3857, always_xy=True); geod = pyproj.Geod(ellps='WGS84'); pr = pyproj.Proj('EPSG:32632')
# %% restart
print(crs, tr.transform(1, 1), geod.inv(0, 0, 1, 1), pr(9, 48))
""",
    "rasterio": """
# data in files, transforms; open files are named
import rasterio, numpy as np
from rasterio.transform import from_origin
aff = from_origin(0, 1, 1, 1); meta = dict(driver='GTiff', height=2, width=2, count=1, dtype='uint8', transform=aff)
with rasterio.open('a.tif', 'w', **meta) as f: f.write(np.ones((1, 2, 2), 'uint8'))
src = rasterio.open('a.tif'); prof = src.profile; box = src.bounds
# %% restart
with rasterio.open('a.tif') as f: print(f.read().sum(), f.transform, aff * (1, 1))
# %%
print(prof['width'], box)
# %%
print(src.read().sum())
""",
}
