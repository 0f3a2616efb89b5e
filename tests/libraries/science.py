"""Molecules, stars, units, fits."""

REQUIREMENTS = (
    *("rdkit", "biopython", "ase", "astropy", "pint", "uncertainties", "scipy", "lmfit", "emcee"),
    *("h5py", "numba", "statsmodels"),
)

NOTEBOOKS = {
    "rdkit": """
# molecules with properties, conformers, atoms of molecules
from rdkit import Chem
from rdkit.Chem import AllChem, Descriptors
m = Chem.MolFromSmiles('CCO'); m.SetProp('name', 'ethanol'); m.SetDoubleProp('x', 1.5); m.GetAtomWithIdx(0).SetProp('tag', 'first')
m.GetBondWithIdx(0).SetIntProp('order', 3); mols = [m, Chem.MolFromSmiles('c1ccccc1')]; h = Chem.AddHs(m); AllChem.EmbedMolecule(h, randomSeed=1)
fp = AllChem.GetMorganGenerator(radius=2).GetFingerprint(m); patt = Chem.MolFromSmarts('[OH]'); atom = m.GetAtomWithIdx(2)
rxn = AllChem.ReactionFromSmarts('[C:1][OH:2]>>[C:1][Cl:2]'); rw = Chem.RWMol(m)
# %% restart
print(Chem.MolToSmiles(m), m.HasSubstructMatch(patt), fp.GetNumOnBits(), round(Descriptors.MolWt(m), 2), mols[0] is m)
# %%
print(m.GetPropsAsDict(), m.HasProp('name'))
# %%
print(m.GetAtomWithIdx(0).HasProp('tag'), m.GetBondWithIdx(0).HasProp('order'), h.GetNumConformers(), h.GetConformer().GetAtomPosition(0).x)
# %%
print(atom.GetSymbol())
# %%
rw.AddAtom(Chem.Atom(6)); print(Chem.MolToSmiles(rw), rw.GetPropsAsDict(), len(rxn.RunReactants((m,))))
""",
    "biopython": """
# sequences, records, alignments, trees
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from Bio import Align, Phylo, SeqIO
from io import StringIO
s = Seq('ATGGCC'); r = SeqRecord(s, id='r1', annotations={'k': 1}); al = Align.PairwiseAligner(); al.mode = 'local'; al.open_gap_score = -2
t = Phylo.read(StringIO('((A,B),C);'), 'newick'); best = al.align('ACGT', 'ACG')[0]
# %% restart
print(s.translate(), r.format('fasta'), al.score('ACGT', 'ACG'), al.mode, al.open_gap_score)
# %%
print(best, [c.name for c in t.get_terminals()])
""",
    "ase": """
# atoms, calculators, constraints
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS
a = bulk('Cu') * (2, 1, 1); a.calc = EMT(); e = a.get_potential_energy(); a.rattle(0.05, seed=1); a.set_constraint(FixAtoms([0])); w = molecule('H2O'); one = a[1]
# %% restart
print(round(a.get_potential_energy(), 6), w.get_distance(0, 1), a.constraints)
# %%
BFGS(a, logfile=None).run(steps=2); print(a.get_forces().round(3).tolist()); one.x = 9; print(a.positions[1, 0])
""",
    "astropy": """
# quantities, views, tables, times, coordinates, units of cells
import numpy as np
from astropy import units as u, constants
from astropy.table import Table, QTable
from astropy.time import Time
from astropy.coordinates import SkyCoord
from astropy.modeling import models
q = np.arange(4.) * u.m; part = q[1:]; raw = q.value; t = Table({'a': [1, 2], 'b': ['x', 'y']}); col = t['a']; row = t[0]
when = Time('2024-01-01'); c = SkyCoord(10 * u.deg, 20 * u.deg); smoot = u.def_unit('smoot', 1.7 * u.m); g = models.Gaussian1D(1, 2, 3); qt = QTable({'q': q})
u.add_enabled_units([smoot]); comp = g + g
# %% restart
part[0] = 100 * u.m; print(q, part, raw)
# %%
col[0] = 50; print(t, row['a'], col.parent_table is t)
# %%
print(when.iso, c.ra, (3 * smoot).to(u.m), g(2), constants.c, comp(2))
# %%
print(u.Unit('smoot'), qt['q'].unit, (2 * smoot).unit == u.Unit('smoot'))
""",
    "pint": """
# quantities, registries, units of cells, formats
import pint, numpy as np
ureg = pint.UnitRegistry(); ureg.define('smoot = 1.7 * meter'); q = 3 * ureg.smoot; ureg.formatter.default_format = '.2f~P'; arr = np.arange(3) * ureg.second
pint.set_application_registry(ureg)
@ureg.wraps('meter', 'meter')
def twice(x): return 2 * x
# %% restart
print(q.to('meter'), q._REGISTRY is ureg, arr.sum())
# %%
print(twice(1 * ureg.smoot), pint.get_application_registry().Quantity(1, 'smoot').to('m'), 1 * ureg.km)
# %%
print(q + 2 * ureg.meter)
""",
    "uncertainties": """
# numbers with errors and their correlations
from uncertainties import ufloat, umath, correlation_matrix
x = ufloat(1, 0.1); y = 2 * x; z = ufloat(3, 0.2, 'tag'); w = y - 2 * x
# %% restart
print(y - 2 * x, w, x + z, umath.sin(x), z.tag)
# %%
print(correlation_matrix([x, y, z]).round(3).tolist(), y.derivatives[x])
""",
    "scipy": """
# sparse matrices, interpolators, distributions, trees, results, rotations
import numpy as np, scipy as sp
from scipy import sparse, interpolate, stats, spatial, optimize, signal, integrate
m = sparse.csr_matrix(np.eye(3)); f = interpolate.CubicSpline([0, 1, 2], [0, 1, 4]); d = stats.norm(2, 3); kd = spatial.KDTree(np.arange(6.).reshape(3, 2))
res = optimize.minimize(lambda v: (v - 1) ** 2, 0.0); rot = spatial.transform.Rotation.from_euler('z', 90, degrees=True); tf = signal.TransferFunction([1], [1, 1])
kde = stats.gaussian_kde([1., 2., 4.]); hull = spatial.ConvexHull(np.random.default_rng(1).random((9, 2))); sol = integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.], dense_output=True)
class Mine(stats.rv_continuous):
    def _pdf(self, x): return 2 * x
mine = Mine(a=0, b=1, name='mine'); d.random_state = 3
# %% restart
print(m.sum(), f(1.5), d.cdf(2), kd.query([1, 1]), res.x.round(3), rot.apply([1, 0, 0]).round(3), tf)
# %%
print(kde(2), hull.volume, sol.sol(0.5), mine.mean(), d.rvs(2))
""",
    "lmfit": """
# models, parameters, results
import lmfit, numpy as np
x = np.linspace(0, 1, 20)
def lin(x, a=1, b=0): return a * x + b
model = lmfit.Model(lin) + lmfit.models.ConstantModel(); params = model.make_params(); params['c'].vary = False; params.add('d', expr='a * 2')
fit = lmfit.Model(lin).fit(3 * x + 1, x=x)
# %% restart
print(round(fit.best_values['a'], 6), params['d'].value, params['c'].vary)
# %%
params['a'].value = 5; print(params['d'].value, model.eval(params, x=1.0), round(float(fit.eval(x=2.0)), 4))
""",
    "emcee": """
# samplers and their chains
import emcee, numpy as np
np.random.seed(1)
def lnp(v): return -0.5 * np.sum(v ** 2)
s = emcee.EnsembleSampler(8, 2, lnp); state = s.run_mcmc(np.random.randn(8, 2), 10)
# %% restart
print(s.get_chain().shape, s.get_chain()[-1, 0])
# %%
s.run_mcmc(None, 3); print(s.get_chain().shape, s.get_chain()[-1, 0])
""",
    "h5py": """
# data in files; open files are named
import h5py, numpy as np
with h5py.File('a.h5', 'w') as f: f['x'] = np.arange(3); f.attrs['k'] = 'v'
got = h5py.File('a.h5')['x'][:]; vl = h5py.string_dtype(); op = h5py.File('a.h5', 'r'); ds = op['x']
# %% restart
with h5py.File('a.h5', 'r') as f: print(f['x'][:], f.attrs['k'], got, vl)
# %%
print(op['x'][0])
# %%
print(ds[1])
""",
    "numba": """
# compiled functions and classes, threads
import numba, numpy as np
offset = 2
@numba.njit
def f(x): return x * 2 + offset
@numba.vectorize(['float64(float64)'])
def g(x): return x + 1
@numba.njit(parallel=False, cache=False)
def h(a): return f(a.sum())
@numba.experimental.jitclass([('n', numba.int64)])
class C:
    def __init__(self, n): self.n = n
    def inc(self): self.n += 1; return self.n
l = numba.typed.List([1, 2]); d = numba.typed.Dict(); d['a'] = 1; c = C(3); f(1); h(np.arange(3))
# %% restart
print(f(3), f.signatures, g(np.arange(2.)), h(np.arange(4)))
# %%
print(list(l), dict(d))
# %%
print(c.inc())
# %%
print(C(7).inc())
""",
    "statsmodels": """
# formulas with functions of cells, results, time series
import numpy as np, pandas as pd, statsmodels.api as sm, statsmodels.formula.api as smf
rng = np.random.default_rng(0); df = pd.DataFrame({'x': rng.normal(size=30)}); df['y'] = 2 * df.x + rng.normal(size=30) * 0.1
def square(v): return v ** 2
fit = smf.ols('y ~ x + square(x)', df).fit(); glm = sm.GLM(df.y, sm.add_constant(df.x)).fit(); ar = sm.tsa.ARIMA(df.y, order=(1, 0, 0)).fit()
# %% restart
print(fit.params.round(4).tolist(), glm.aic.round(4))
# %%
print(fit.predict(pd.DataFrame({'x': [1.0]})).round(4).tolist())
# %%
print(ar.forecast(2).round(3).tolist(), fit.model.exog_names, len(str(fit.summary())))
""",
}
