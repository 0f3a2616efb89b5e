"""Plots and graphs."""

REQUIREMENTS = (
    *("matplotlib", "seaborn", "plotly", "altair", "bokeh", "holoviews", "hvplot", "folium"),
    *("pydeck", "plotnine", "networkx", "igraph", "graphviz"),
)

NOTEBOOKS = {
    "matplotlib": """
# figures, pyplot's state, styles, callbacks, colorbars, animations
import matplotlib.pyplot as plt, numpy as np, matplotlib as mpl
plt.style.use('ggplot'); mpl.rcParams['lines.linewidth'] = 3
fig, ax = plt.subplots(); line, = ax.plot([1, 2, 3], label='one'); image = ax.imshow(np.eye(3))
bar = fig.colorbar(image); norm = mpl.colors.LogNorm(1, 10); seen = []
cid = fig.canvas.mpl_connect('draw_event', lambda event: seen.append('draw'))
ax.callbacks.connect('xlim_changed', lambda axes: seen.append('xlim'))
mpl.colormaps.register(mpl.colors.ListedColormap(['r', 'b'], name='mine')); plt.figure(5)
ax2 = plt.gca(); twin = ax.twinx()
# %% restart
print(plt.gcf().number, plt.get_fignums(), mpl.rcParams['lines.linewidth'], line.get_label())
# %%
image.set_clim(0, 2); print(bar.vmax, bar.norm is image.norm, bar.mappable is image)
# %%
seen.clear(); ax.set_xlim(0, 9); print(seen)
# %%
seen.clear(); fig.canvas.draw(); print(seen)
# %%
print(plt.get_cmap('mine')(1.0), norm(5) > 0, ax.figure is fig, twin in fig.axes); plt.close('all')
# %%
bar.remove(); print(len(fig.axes))
""",
    "seaborn": """
# themes, palettes, grids, objects
import seaborn as sns, pandas as pd, matplotlib.pyplot as plt
sns.set_theme(style='whitegrid', palette='dark', font_scale=1.5)
df = pd.DataFrame({'a': [1, 2, 3], 'b': [3, 2, 1], 'c': list('xyx')})
grid = sns.FacetGrid(df, col='c'); grid.map(plt.scatter, 'a', 'b'); pal = sns.color_palette('husl', 3)
import seaborn.objects as so
p = so.Plot(df, 'a', 'b').add(so.Dot()); plt.close('all')
# %% restart
print(sns.color_palette()[0], plt.rcParams['font.size'], plt.rcParams['axes.grid'])
# %%
print(len(grid.axes.flat), pal[0], grid.data.shape); grid.set_titles('t'); print(grid.axes.flat[0].get_title())
# %%
print(type(p.plot()).__name__); plt.close('all')
""",
    "plotly": """
# figures, parts of figures, templates
import plotly.graph_objects as go, plotly.express as px, plotly.io as pio
fig = go.Figure(go.Scatter(y=[1, 2, 3], name='s')); trace = fig.data[0]; axis = fig.layout.xaxis
fig.update_layout(title='T'); pio.templates['mine'] = go.layout.Template(layout={'font': {'size': 30}})
pio.templates.default = 'mine'; bar = px.bar(x=[1], y=[2]); lone = go.Bar(y=[1])
# %% restart
trace.name = 'renamed'; print(fig.data[0].name, fig.data[0] is trace)
# %%
axis.title = 'X'; print(fig.layout.xaxis.title.text)
# %%
print(pio.templates.default, go.Figure().layout.template.layout.font.size, bar.layout.template.layout.font.size)
# %%
print(lone.y, len(fig.to_json()) > 100)
""",
    "altair": """
# charts, the numbers of their names, themes
import altair as alt, pandas as pd
df = pd.DataFrame({'a': [1, 2], 'b': [3, 4]})
sel = alt.selection_interval(); c = alt.Chart(df).mark_bar().encode(x='a', y='b').add_params(sel)
alt.data_transformers.enable('default', max_rows=10); alt.data_transformers.consolidate_datasets = False
p = alt.param(value=3)
@alt.theme.register('mine', enable=True)
def mine(): return alt.theme.ThemeConfig(width=77)
# %% restart
print(c.to_dict()['params'], alt.data_transformers.options, p.name)
# %%
print(alt.selection_point().name, alt.Chart(df).mark_bar().encode(x='a').to_dict().get('width'))
# %%
print((c | c).to_dict()['hconcat'][0]['mark'], alt.data_transformers.consolidate_datasets)
""",
    "bokeh": """
# plots, sources, their identifiers, documents
from bokeh.plotting import figure, curdoc
from bokeh.models import ColumnDataSource, CustomJS
source = ColumnDataSource({'x': [1, 2], 'y': [3, 4]}); p = figure(title='T'); r = p.scatter('x', 'y', source=source)
calls = []
source.on_change('data', lambda attr, old, new: calls.append(attr)); curdoc().add_root(p); curdoc().title = 'D'
p.id
# %% restart
print(p.id, p.title.text, r.data_source is source)
# %%
print(figure().id)
# %%
source.data = {'x': [1], 'y': [1]}; print(calls)
# %%
print(curdoc().title, curdoc().roots == [p], p.document is curdoc())
""",
    "holoviews": """
# elements with options, overlays, streams, extension
import holoviews as hv, numpy as np
hv.extension('matplotlib')
c = hv.Curve([1, 2, 3], label='c').opts(color='red', linewidth=5); s = hv.Scatter([1, 2, 3])
o = c * s.opts(color='green'); lay = c + s; hv.opts.defaults(hv.opts.Curve(color='blue'))
d = hv.DynamicMap(lambda n: hv.Curve(np.arange(n)), kdims='n').redim.range(n=(1, 5)); hm = hv.HoloMap({1: c, 2: c.clone()})
hv.Store.current_backend
# %% restart
print(hv.Store.current_backend, hv.Store.lookup_options('matplotlib', c, 'style').kwargs)
# %%
print(hv.Store.lookup_options('matplotlib', o.Scatter.I, 'style').kwargs, o)
# %%
print(hv.Store.lookup_options('matplotlib', hv.Curve([1]), 'style').kwargs, lay)
# %%
print(hv.render(c).axes[0].lines[0].get_color(), hv.render(o).axes[0].lines[0].get_linewidth())
# %%
print(d[3].dimension_values(1).tolist(), hm.keys())
# %%
c2 = hv.Curve([1]).opts(color='black'); print(hv.Store.lookup_options('matplotlib', c2, 'style').kwargs['color'], hv.Store.lookup_options('matplotlib', c, 'style').kwargs['color'])
""",
    "hvplot": """
# plots of tables
import pandas as pd, hvplot.pandas
df = pd.DataFrame({'a': [1, 2], 'b': [3, 4]}); p = df.hvplot.line(x='a', y='b', color='red')
# %% restart
print(p); import holoviews as hv; print(hv.Store.lookup_options('bokeh', p, 'style').kwargs.get('color'))
# %%
print(df.hvplot.scatter(x='a', y='b'))
""",
    "folium": """
# maps and their layers
import folium
m = folium.Map([50, 10], zoom_start=4); k = folium.Marker([50, 10], popup='here').add_to(m)
g = folium.FeatureGroup('g').add_to(m)
# %% restart
folium.Marker([1, 2]).add_to(g); print(m.location, len(m._children), k._parent is m, m.get_name() == m.get_name())
# %%
html = m.get_root().render(); print('here' in html, html.count('L.marker('))
""",
    "pydeck": """
# layers on maps
import pydeck as pdk
layer = pdk.Layer('ScatterplotLayer', data=[{'p': [1, 2]}], get_position='p', id='l')
deck = pdk.Deck([layer], initial_view_state=pdk.ViewState(1, 2, zoom=3))
# %% restart
print(len(deck.to_json()) > 100, deck.layers[0] is layer, deck.initial_view_state.zoom)
""",
    "plotnine": """
# plots by a grammar, themes
import plotnine as p9, pandas as pd
df = pd.DataFrame({'a': [1, 2, 3], 'b': [3, 1, 2]}); p9.theme_set(p9.theme_bw()); p9.options.dpi = 55
p = p9.ggplot(df, p9.aes('a', 'b')) + p9.geom_point() + p9.labs(title='T')
# %% restart
print(type(p9.theme_get()).__name__, p9.options.dpi, p.labels.title)
# %%
fig = (p + p9.geom_line()).draw(); print(len(fig.axes), len(fig.axes[0].lines))
""",
    "networkx": """
# graphs, attributes, views, backends' configuration
import networkx as nx
g = nx.karate_club_graph(); h = nx.DiGraph([('a', 'b'), ('b', 'c')], name='h'); g.nodes[0]['w'] = 5
view = g.subgraph([0, 1, 2]); nodes = h.nodes; pos = nx.spring_layout(h, seed=1); rev = h.reverse(copy=False)
nx.config.warnings_to_ignore = {'cache'}
# %% restart
g.add_edge(0, 99); print(g, nx.shortest_path(h, 'a', 'c'), list(view.edges), g.nodes[0]['w'])
# %%
h.add_node('z'); print(list(nodes), pos['a'], list(rev.edges), nx.config.warnings_to_ignore)
""",
    "igraph": """
# graphs with attributes, clusterings
import igraph as ig, random
random.seed(1); g = ig.Graph.Erdos_Renyi(10, 0.5); g.vs['n'] = list('abcdefghij'); c = g.community_multilevel(); v = g.vs[0]
# %% restart
print(g.ecount(), g.vs['n'][:2], random.random())
# %%
print(len(c), c.modularity)
# %%
print(v['n'])
""",
    "graphviz": """
# sources of graphs
import graphviz
d = graphviz.Digraph('n', comment='c'); d.edge('a', 'b'); sub = graphviz.Digraph('cluster'); d.subgraph(sub)
# %% restart
d.node('z'); print(d.source)
""",
}
