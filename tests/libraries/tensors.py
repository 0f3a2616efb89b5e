"""Tensors and gradients."""

REQUIREMENTS = ("torch", "jax", "equinox", "optax", "flax", "einops")

NOTEBOOKS = {
    "torch": """
# tensors, gradients, modules, optimisers, generators, settings; graphs of gradients are named
import torch
torch.manual_seed(5); x = torch.ones(3, requires_grad=True); (x * 2).sum().backward(); shared = x.detach()
net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()); opt = torch.optim.Adam(net.parameters(), lr=0.1)
net(torch.ones(1, 2)).sum().backward(); opt.step(); y = x * 3; calls = []
sched = torch.optim.lr_scheduler.StepLR(opt, 1); handle = net[0].register_forward_hook(lambda m, i, o: calls.append(1))
gen = torch.Generator().manual_seed(3); torch.rand(1, generator=gen); torch.set_default_dtype(torch.float64)
class Net(torch.nn.Module):
    def __init__(self): super().__init__(); self.w = torch.nn.Parameter(torch.zeros(2)); self.register_buffer('b', torch.ones(2))
    def forward(self, v): return v * self.w + self.b
mine = Net().eval(); params = list(net.parameters()); p0 = params[0]; data = torch.utils.data.TensorDataset(torch.arange(4.))
view = data.tensors[0][1:]
loader = torch.utils.data.DataLoader(data, batch_size=2)
opt.zero_grad(); net(torch.ones(1, 2, dtype=torch.float32)).sum().backward(); calls.clear()
# %% restart
print(x.grad, x.requires_grad, torch.rand(2), torch.get_default_dtype())
# %%
print(net[0].weight.grad is not None, net[0].weight.grad)
# %%
opt.step(); sched.step(); print(net[0].weight, sched.get_last_lr(), opt.state[p0]['step'], p0 is net[0].weight)
# %%
net(torch.ones(1, 2, dtype=torch.float32)); print(calls, torch.rand(1, generator=gen), mine.training, mine(torch.ones(2)))
# %%
y.sum().backward(); print(x.grad)
# %%
print([b[0].tolist() for b in loader]); view[0] = 99; print(data.tensors[0])
""",
    "jax": """
# arrays, keys, compiled functions, pytrees of classes, configuration
import jax, jax.numpy as jnp
jax.config.update('jax_enable_x64', True)
scale = 2
a = jnp.arange(5) * 3; key = jax.random.key(1); k2 = jax.random.split(key)[1]
@jax.jit
def f(x): return x * scale
g = jax.grad(lambda x: (x ** 2).sum()); v = jax.vmap(lambda x: x + 1)
@jax.tree_util.register_pytree_node_class
class Pair:
    def __init__(self, x, y): self.x, self.y = x, y
    def tree_flatten(self): return (self.x, self.y), None
    @classmethod
    def tree_unflatten(cls, aux, children): return cls(*children)
class Box:
    def __init__(self, x): self.x = x
jax.tree_util.register_pytree_node(Box, lambda b: ((b.x,), None), lambda _, c: Box(*c))
p = Pair(jnp.ones(2), 3.0); td = jax.tree_util.tree_structure([1, {'a': 2}]); f(a)
from dataclasses import dataclass
@jax.tree_util.register_dataclass
@dataclass
class Params:
    w: jax.Array
    n: float
@jax.custom_vjp
def h(x): return x * 2
h.defvjp(lambda x: (h(x), None), lambda r, g: (g * 10,)); aot = jax.jit(lambda x: x + 1)
pr = Params(jnp.ones(2), 1.0)
# %% restart
print(a, a.dtype, f(a), g(jnp.ones(2)), v(a))
# %%
print(jax.random.normal(k2, (2,)), jax.tree_util.tree_leaves(td), td)
# %%
q = jax.tree_util.tree_map(lambda x: x * 2, p); print(type(q).__name__, q.x, q.y)
# %%
print(jax.tree_util.tree_leaves(Box(4)))
# %%
print(jax.tree_util.tree_leaves(pr), jax.grad(h)(1.0), aot(1))
""",
    "equinox": """
# modules, filtered functions, trees that are changed
import equinox as eqx, jax, jax.numpy as jnp
class Lin(eqx.Module):
    w: jax.Array
    act: callable = eqx.field(static=True)
    def __call__(self, x): return self.act(self.w @ x)
m = Lin(jnp.ones((2, 2)), jnp.tanh); mlp = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
@eqx.filter_jit
def run(model, x): return model(x)
loss = eqx.filter_value_and_grad(lambda model, x: model(x).sum())
run(m, jnp.ones(2))
# %% restart
print(run(m, jnp.ones(2)), len(jax.tree_util.tree_leaves(m)), mlp(jnp.ones(2)))
# %%
print(loss(m, jnp.ones(2))[0], eqx.tree_at(lambda t: t.w, m, jnp.zeros((2, 2))).w)
""",
    "optax": """
# optimisers and their state
import optax, jax.numpy as jnp
opt = optax.chain(optax.clip(1.0), optax.adam(optax.exponential_decay(0.1, 10, 0.5))); params = {'w': jnp.ones(2)}
state = opt.init(params); up, state = opt.update({'w': jnp.ones(2)}, state, params)
# %% restart
up, state = opt.update({'w': jnp.ones(2)}, state, params); print(optax.apply_updates(params, up), type(state[1][0]).__name__)
""",
    "flax": """
# modules of both kinds, training states
import jax, jax.numpy as jnp, optax
from flax import linen as nn, nnx, struct
from flax.training.train_state import TrainState
class M(nn.Module):
    n: int
    @nn.compact
    def __call__(self, x): return nn.Dense(self.n)(x)
m = M(2); params = m.init(jax.random.key(0), jnp.ones((1, 3)))
ts = TrainState.create(apply_fn=m.apply, params=params, tx=optax.sgd(0.1))
class N(nnx.Module):
    def __init__(self, rngs): self.l = nnx.Linear(2, 1, rngs=rngs); self.count = nnx.Variable(jnp.array(0))
    def __call__(self, x): return self.l(x)
n = N(nnx.Rngs(0)); rngs = nnx.Rngs(3); rngs.params()
@struct.dataclass
class S:
    x: jax.Array
s = S(jnp.ones(2))
# %% restart
print(m.apply(params, jnp.ones((1, 3))), ts.step)
# %%
print(n(jnp.ones((1, 2))), jax.random.normal(rngs.params(), (1,)), n.count.value)
# %%
ts = ts.apply_gradients(grads=params); print(ts.step, jax.tree_util.tree_leaves(s), s.replace(x=1))
""",
    "einops": """
# rearrangements as functions and layers
import torch, numpy as np
from einops.layers.torch import Rearrange
from einops import rearrange
r = Rearrange('a b -> b a'); a = np.arange(6).reshape(2, 3)
# %% restart
print(r(torch.tensor(a)).shape, rearrange(a, 'a b -> (a b)'))
""",
}
