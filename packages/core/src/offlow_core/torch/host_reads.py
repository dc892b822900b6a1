"""A watch for what makes the host wait for the device, which on a CPU nobody would notice."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READING_KERNELS = {
    *(aten._local_scalar_dense, aten.is_nonzero, aten.equal, aten.allclose),
    # Shapes that depend on values have to be known on the host.
    *(aten.nonzero, aten.masked_select, aten._unique2, aten.unique_consecutive, aten.unique_dim, aten.bincount),
}
INDEXING_KERNELS = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
READING_METHODS = {"tolist", "numpy", "cpu", "__array__"}  # on a CPU they reach no kernel


class HostReadError(AssertionError):
    """Something in the watched block reads a number of a tensor on the host."""


@contextmanager
def no_host_reads() -> Generator[None]:
    """Raise HostReadError at the first operation that would wait for a GPU."""
    with _Methods(), _Kernels():
        yield


class _Kernels(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func.overloadpacket in READING_KERNELS or (
            func.overloadpacket in INDEXING_KERNELS and any(_is_boolean(index) for index in args[1])
        ):
            raise HostReadError(f"{func} reads its result on the host")
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if getattr(func, "__name__", "") in READING_METHODS:
            raise HostReadError(f"Tensor.{func.__name__} copies to the host")
        return func(*args, **(kwargs or {}))


def _is_boolean(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)
