"""A GPU that is not there: tensors on it have shapes and types, but no values.

What goes wrong on a GPU and nowhere else is mostly one of three things: an operator meets tensors
of two devices, the host waits for the device within a step, or an operator is not to be had there.
torch's fake tensors show the first as CUDA would; this mode leaves what is on the CPU real and
notes the second and what Apple's MPS cannot do.
"""

from unittest import mock

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten


class Away(FakeTensorMode):
    """While it is entered, there is a CUDA device.

    Attributes:
        waits: the operators for which the host waited for it, in their order.
        doubles: the operators that made float64 there, which MPS does not have.

    """

    def __init__(self):
        if not torch.backends.cuda.is_built():
            pytest.skip("torch was built without CUDA")
        super().__init__(allow_non_fake_inputs=True)
        self.waits, self.doubles = [], []
        self._patches, self._entered = [], 0

    def __enter__(self):
        # A fake mode enters itself again for some operators: patched twice, torch stayed patched.
        self._entered += 1
        if self._entered == 1:
            self._patch()
        return super().__enter__()

    def __deepcopy__(self, memo):
        return self  # a copied network is on the same device

    def _patch(self):
        cuda, tensor = torch.cuda, torch.Tensor
        self._patches = [
            mock.patch.object(tensor, "pin_memory", _pinned),
            mock.patch.object(tensor, "backward", _backward),
            mock.patch.object(cuda, "is_bf16_supported", return_value=True),
            mock.patch.object(cuda, "set_device"),
            mock.patch.object(cuda, "get_device_properties", return_value=mock.Mock(major=8)),
            mock.patch.object(cuda, "default_generators", [torch.Generator()]),
            mock.patch.object(cuda, "max_memory_allocated", return_value=1),
            mock.patch.object(cuda.amp.common, "amp_definitely_not_available", return_value=False),
        ]
        for patch in self._patches:
            patch.start()

    def __exit__(self, *error):
        self._entered -= 1
        if not self._entered:
            for patch in self._patches:
                patch.stop()
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        to = torch.device(kwargs.get("device") or "cpu")
        drawn = [leaf for leaf in leaves if isinstance(leaf, torch.Generator)]
        if any(generator.device != to for generator in drawn):
            raise RuntimeError(f"{func}: a generator of another device")
        away = [tensor for tensor in tensors if isinstance(tensor, FakeTensor)]
        if not away and to.type == "cpu":
            return func(*args, **kwargs)
        if func is aten._local_scalar_dense.default:
            self.waits.append("item")
            return torch.ones((), dtype=away[0].dtype).item()
        if func is aten._to_copy.default and away and "device" in kwargs and to.type == "cpu":
            self.waits.append("cpu")
            kind = kwargs.get("dtype") or away[0].dtype
            return torch.zeros(away[0].shape, dtype=kind)
        if func in (aten._to_copy.default, aten.copy_.default) and len(away) < len(tensors):
            near = next(tensor for tensor in tensors if not isinstance(tensor, FakeTensor))
            if func is aten.copy_.default and near is args[0]:
                self.waits.append("copy_")
                return near
            if not (kwargs.get("non_blocking") and hasattr(near, "_is_pinned_here")):
                self.waits.append("to")
        if func.namespace == "aten" and func._opname.startswith(("_fused_", "_amp_")):
            return _without_a_shape(func, tensors, args)
        result = super().__torch_dispatch__(func, types, args, kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, FakeTensor)]
        if any(tensor.dtype == torch.float64 for tensor in made):
            self.doubles.append(str(func))
        return result


def _without_a_shape(func, tensors, args):
    """What changes its arguments only: an operator of which torch has no fake."""
    if {tensor.device for tensor in tensors} != {tensors[0].device}:
        raise RuntimeError(f"{func}: tensors of two devices")
    return args[0] if func._schema.returns else None


def _pinned(tensor):
    """A copy in pinned memory, which this machine may not have."""
    copied = tensor.clone()
    copied._is_pinned_here = True
    return copied


def _backward(loss):
    """Give each leaf of the graph a gradient: autograd's engine wants a GPU that is one."""
    seen, nodes = set(), [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
