"""Repeating an update: called as it is, or recorded once as a CUDA graph and replayed."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable)

WARM_UP_UPDATES = 3  # before recording: libraries choose their kernels, optimizers make their state


def compiled_if(wanted: bool, function: Function) -> Function:
    """The function, compiled as one graph for fixed shapes where that is wanted."""
    return cast(Function, torch.compile(function, fullgraph=True, dynamic=False)) if wanted else function


class UpdateProgram:
    """Calls `update(variant)`, which must read and write nothing but tensors that stay where they are.

    On a GPU every variant is recorded after a few ordinary calls; from then on a call launches the whole update at
    once. `generators` are those that the update draws from: a replay moves them on as a call would.
    """

    def __init__(self, update: Callable[[Hashable], None], generators: Sequence[torch.Generator], *, record: bool):
        self._update, self._generators, self._record = update, generators, record
        self._calls: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}

    def __call__(self, variant: Hashable) -> None:
        """One update."""
        if not self._record:
            self._update(variant)
        elif variant in self._graphs:
            self._graphs[variant].replay()
        elif self._calls.get(variant, 0) < WARM_UP_UPDATES:
            self._calls[variant] = self._calls.get(variant, 0) + 1
            self._update_aside(variant)
        else:
            self._graphs[variant] = self._recorded(variant)
            self._graphs[variant].replay()

    def _update_aside(self, variant: Hashable) -> None:
        """An ordinary call on another stream, as recording requires of the calls before it."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._update(variant)
        torch.cuda.current_stream().wait_stream(aside)

    def _recorded(self, variant: Hashable) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self._update(variant)
        return graph
