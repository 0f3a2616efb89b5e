"""torch: the gradients of tensors, and the memory that tensors share.

Graphs of gradients are not stored. A tensor that has one comes back as its values, detached, so
that a call of `backward` fails instead of doing nothing.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..process_settings.row import is_of_cells


def reducers(pickler: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducers of tensors and of their memory."""

    def reduce(obj: Any) -> Any:
        return _reduce(pickler, obj)

    yield sys.modules["torch"].Tensor, reduce
    yield _Memory, _Memory.reduce


def _reduce(pickler: Any, obj: Any) -> Any:
    torch = sys.modules["torch"]
    plain = _plain(torch, obj)
    gradient = obj.grad if obj.is_leaf else None
    if plain is None:
        if obj.requires_grad and not obj.is_leaf:
            _lose_graph(pickler, obj)
            return (_same, (obj.detach(),))
        reduced = obj.__reduce_ex__(5)
        if gradient is None or len(reduced) > 2:
            return reduced
        return (*reduced, gradient, None, None, set_gradient)
    if obj.requires_grad and not obj.is_leaf:
        _lose_graph(pickler, obj)
        plain = (*plain[:-2], False, plain[-1])
    attributes = dict(vars(obj))
    return tensor, plain, (gradient, attributes), None, None, set_state


def _lose_graph(pickler: Any, obj: Any) -> None:
    reason = "graphs of gradients cannot be stored; the values came back, detached"
    pickler.lost.append(("the gradient graph of {}", reason, id(obj)))


def _plain(torch: Any, obj: Any) -> tuple[Any, ...] | None:
    """Return the arguments that make a tensor; None: it is not of the usual kind."""
    kind = type(obj)
    # Those of lazy modules and buffers are Tensors in all but name.
    is_usual = kind is torch.Tensor or kind is torch.nn.Parameter
    if not is_usual or obj.device.type != "cpu" or obj.layout is not torch.strided:
        return None
    hooks = getattr(obj, "_backward_hooks", None)
    if obj.is_quantized or obj.is_conj() or obj.is_neg() or obj.is_inference() or hooks:
        return None
    memory = _memory_of(obj)
    place = (obj.storage_offset(), tuple(obj.size()), obj.stride())
    return memory, obj.dtype, *place, obj.requires_grad, kind is torch.nn.Parameter


# Of each storage that is stored, by its address: tensors of several variables may share it.
_memories: dict[tuple[int, int], _Memory] = {}


def _memory_of(obj: Any) -> _Memory:
    storage = obj.untyped_storage()
    key = (storage.data_ptr(), storage.nbytes())
    found = _memories.get(key)
    if found is None or found.storage.data_ptr() != key[0] or not key[0]:
        found = _memories[key] = _Memory(storage)
    return found


class _Memory:
    """The memory of tensors."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        size = storage.nbytes()
        self._bytes = (ctypes.c_char * size).from_address(storage.data_ptr()) if size else b""

    def reduce(self) -> Any:
        """Reduce it for pickle."""
        return memory, (pickle.PickleBuffer(self._bytes),)


# -- when it is loaded ---------------------------------------------------------------


def memory(data: Any) -> Any:
    """Make a storage."""
    torch = sys.modules["torch"]
    size = memoryview(data).nbytes
    made = torch.empty(size, dtype=torch.uint8)
    if size:
        made.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    return made.untyped_storage()


def tensor(
    storage: Any,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_gradient: bool,
    is_parameter: bool,
) -> Any:
    """Make a tensor of its memory."""
    torch = sys.modules["torch"]
    made = torch.empty(0, dtype=dtype).set_(storage, offset, size, stride)
    if is_parameter:
        return torch.nn.Parameter(made, requires_grad=requires_gradient)
    return made.requires_grad_(requires_gradient)


def set_gradient(target: Any, gradient: Any) -> None:
    """Set the gradient of a tensor."""
    target.grad = gradient


def set_state(target: Any, state: tuple[Any, dict[str, Any]]) -> None:
    """Set the gradient of a tensor, and its attributes."""
    gradient, attributes = state
    if gradient is not None:
        target.grad = gradient
    target.__dict__.update(attributes)


def _same(value: Any) -> Any:
    return value


# -- classes -------------------------------------------------------------------------


def registered(kind: type) -> list[tuple[Any, ...]]:
    """Return what makes a class a node of trees again."""
    trees = sys.modules.get("torch.utils._pytree")
    node = getattr(trees, "SUPPORTED_NODES", {}).get(kind)
    if node is None or not is_of_cells(kind):
        return []
    return [(register_node, node.flatten_fn, node.unflatten_fn)]


def register_node(kind: type, flatten: Any, unflatten: Any) -> None:
    """Register a class with torch's trees."""
    sys.modules["torch.utils._pytree"].register_pytree_node(kind, flatten, unflatten)
