"""Models that are simulated, solved or measured."""

REQUIREMENTS = (
    *("mesa", "simpy", "qiskit", "cirq-core", "control", "cvxpy", "pulp", "sympy", "gymnasium"),
    *("deap", "pyomo", "casadi", "ortools"),
)

NOTEBOOKS = {
    "mesa": """
# models with agents and their numbers
import mesa
class A(mesa.Agent):
    def __init__(self, model): super().__init__(model); self.w = self.random.random()
    def step(self): self.w += 1
class M(mesa.Model):
    def __init__(self): super().__init__(rng=1); A.create_agents(self, 3); self.dc = mesa.DataCollector(agent_reporters={'w': 'w'})
    def step(self): self.agents.shuffle_do('step'); self.dc.collect(self)
m = M(); m.step(); first = list(m.agents)[0]
# %% restart
m.step(); print([(a.unique_id, round(a.w, 6)) for a in m.agents], m.dc.get_agent_vars_dataframe().shape, first in m.agents)
# %%
print(A(m).unique_id, len(m.agents), m.random.random())
# %%
print([a.unique_id for a in M().agents])
""",
    "simpy": """
# environments without processes; processes are generators, and named
import simpy
env = simpy.Environment(); store = simpy.Store(env); store.put('a'); env.run(until=5)
def run(e):
    while True: yield e.timeout(2)
busy = simpy.Environment(); p = busy.process(run(busy)); busy.run(until=3)
# %% restart
print(env.now, store.items); env.run(until=7); print(env.now)
# %%
busy.run(until=9); print(busy.now, p.is_alive)
""",
    "qiskit": """
# circuits, parameters, registers and their names
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Statevector, Operator
theta = Parameter('t'); qc = QuantumCircuit(2, 2); qc.h(0); qc.cx(0, 1); qc.rx(theta, 0); v = ParameterVector('v', 2)
q = QuantumRegister(2); qc.name
# %% restart
print(qc.name, QuantumCircuit(1).name, q.name, QuantumRegister(1).name)
# %%
print(Statevector(qc.assign_parameters({theta: 0.5})).probabilities(), theta in qc.parameters, Parameter('t') == theta)
# %%
qc.measure(0, 0); print(qc.count_ops(), v[1].name, qc.draw('text'))
""",
    "cirq-core": """
# circuits, simulators, parameters
import cirq, sympy
q = cirq.LineQubit.range(2); t = sympy.Symbol('t'); c = cirq.Circuit(cirq.H(q[0]), cirq.CNOT(*q), cirq.rx(t)(q[0]))
sim = cirq.Simulator(seed=3); sim.run(cirq.Circuit(cirq.H(q[0]), cirq.measure(q[0])), repetitions=3)
# %% restart
print(c, cirq.resolve_parameters(c, {'t': 0.5}).unitary().round(3)[0])
# %%
print(sim.run(cirq.Circuit(cirq.H(q[0]), cirq.measure(q[0], key='m')), repetitions=9))
""",
    "control": """
# systems, the numbers of their names, settings
import control as ct
s = ct.tf([1], [1, 1]); ss = ct.ss([[-1]], [[1]], [[1]], [[0]]); ct.config.set_defaults('control', default_dt=0.5)
n = ct.nlsys(lambda t, x, u, p: -x, None, inputs=1, states=1)
# %% restart
print(s.name, ss.name, ct.tf([1], [1, 2]).name, ct.ss([[-1]], [[1]], [[1]], [[0]]).name)
# %%
print(ct.config.defaults['control.default_dt'], ct.feedback(s), n.name)
# %%
print(ct.tf([1], [1, 3]).dt, ct.tf(2, [1, 3], name='own').name, ct.step_response(ss, [0, 1]).y)
""",
    "cvxpy": """
# problems, variables and their numbers
import cvxpy as cp
x = cp.Variable(name='x'); y = cp.Variable(); p = cp.Parameter(value=2.0); prob = cp.Problem(cp.Minimize((x - p) ** 2 + (y - 1) ** 2), [x >= 3])
prob.solve(); print(round(prob.value, 4))
# %% restart
z = cp.Variable(); w = cp.Variable(); print(z.id, w.id, y.name())
# %%
q = cp.Problem(cp.Maximize(z), [z <= 5, x + z <= 4, x >= 1, y >= z, y <= 2, w == z]); q.solve(); print(round(q.value, 4), round(float(x.value), 4))
# %%
p.value = 5; prob.solve(); print(round(float(x.value), 4), prob.status)
""",
    "pulp": """
# problems and their variables
import pulp
m = pulp.LpProblem('m', pulp.LpMaximize); x = pulp.LpVariable('x', 0, 4); y = pulp.LpVariable.dicts('y', [1, 2], 0, 3); m += x + y[1] + y[2]; m += x + y[1] <= 5
# %% restart
m.solve(pulp.PULP_CBC_CMD(msg=0)); print(pulp.value(m.objective), x.value(), y[2].value())
# %%
m += x <= 1; m.solve(pulp.PULP_CBC_CMD(msg=0)); print(pulp.value(m.objective), len(m.variables()))
""",
    "sympy": """
# symbols, expressions, dummies, printing, functions of expressions
from sympy import *
x, y = symbols('x y'); n = Symbol('n', integer=True, positive=True); e = sin(x) ** 2 + cos(x) ** 2; d = Dummy('d'); f = Function('f')
m = Matrix([[x, 1], [1, y]]); lam = lambdify(x, x ** 2); eq = Eq(f(x).diff(x), f(x)); init_printing(use_latex=False, order='lex')
w = Wild('w'); class_set = {x: 1, y: 2}
# %% restart
print(simplify(e), m.det(), class_set[Symbol('x')], n.is_positive, d == Dummy('d'), lam(3))
# %%
print(dsolve(eq), integrate(x * y, x), Dummy('d') == Dummy('d'), (d + x).subs(d, 2))
# %%
x ** 2 + y
# %%
print((x * y).match(w * y), RR, CC, d.dummy_index < Dummy().dummy_index)
""",
    "gymnasium": """
# environments, spaces, registered classes
import gymnasium as gym, numpy as np
class E(gym.Env):
    action_space = gym.spaces.Discrete(2); observation_space = gym.spaces.Box(0, 1, (1,))
    def reset(self, seed=None, options=None): super().reset(seed=seed); return np.array([self.np_random.random()], 'f4'), {}
    def step(self, a): return np.array([self.np_random.random()], 'f4'), 1.0, False, False, {}
gym.register('mine/E-v0', entry_point=E); env = gym.make('CartPole-v1'); env.reset(seed=3); env.action_space.seed(1)
mine = E(); mine.reset(seed=5)
# %% restart
print(env.step(1)[0], env.action_space.sample())
# %%
print(mine.step(0)[0])
# %%
print(gym.make('mine/E-v0').reset(seed=2)[0])
""",
    "deap": """
# classes that are created, toolboxes, populations
import random
from deap import base, creator, tools
random.seed(3); creator.create('Fit', base.Fitness, weights=(1.0,)); creator.create('Ind', list, fitness=creator.Fit)
tb = base.Toolbox(); tb.register('bit', random.randint, 0, 1); tb.register('ind', tools.initRepeat, creator.Ind, tb.bit, 5)
tb.register('pop', tools.initRepeat, list, tb.ind); pop = tb.pop(n=4); tb.register('evaluate', lambda i: (sum(i),)); hof = tools.HallOfFame(1)
for i in pop: i.fitness.values = tb.evaluate(i)
hof.update(pop)
# %% restart
print(pop, tb.pop(n=1), hof[0], pop[0].fitness)
# %%
print(type(pop[0]) is creator.Ind, tb.clone(pop[0]) == pop[0], tb.evaluate(pop[1]))
""",
    "pyomo": """
# models with variables and constraints
import pyomo.environ as pyo
m = pyo.ConcreteModel(); m.x = pyo.Var(bounds=(0, 4)); m.i = pyo.Set(initialize=[1, 2]); m.y = pyo.Var(m.i)
m.c = pyo.Constraint(m.i, rule=lambda m, i: m.y[i] <= i * m.x); m.o = pyo.Objective(expr=m.x + m.y[1]); x = m.x; m.x.value = 2; m.y[2].value = 1
# %% restart
print(m.x.value, x is m.x, len(m.c), pyo.value(m.c[2].body), m.o.expr)
# %%
m.z = pyo.Var(initialize=1); print([v.name for v in m.component_data_objects(pyo.Var)])
""",
    "casadi": """
# symbols, functions
import casadi as ca
x = ca.SX.sym('x'); f = ca.Function('f', [x], [x ** 2]); d = ca.DM([1, 2]); m = ca.MX.sym('m', 2)
# %% restart
print(f(3), d)
# %%
print(x + 1)
# %%
print(m[0])
""",
    "ortools": """
# models of constraints
from ortools.sat.python import cp_model
m = cp_model.CpModel(); x = m.new_int_var(0, 5, 'x'); y = m.new_int_var(0, 5, 'y'); m.add(x + y <= 7); m.maximize(x + 2 * y); s = cp_model.CpSolver()
# %% restart
s.solve(m); print(s.objective_value, s.value(x))
# %%
m.add(y <= 1); s.solve(m); print(s.objective_value)
""",
}
