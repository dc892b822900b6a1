"""Steps on many parameters at once, without looking at a number on the host."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn


class ClippedAdam:
    """Adam in one fused kernel, after scaling the gradients to a global norm of at most `max_norm` (None: no clipping).

    The factor is min(1, max_norm / (norm + 1e-6)). With `weight_decay` it is AdamW: every parameter, biases too, is
    first multiplied by 1 - lr weight_decay.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        lr: float,
        max_norm: float | None = None,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ):
        self._parameters, self._max_norm = list(parameters), max_norm
        self.lr = lr  # in force; on the host, where it is compared with the next one
        on_gpu = self._parameters[0].is_cuda
        # As a tensor the step size can change under a recorded graph.
        step_size = torch.tensor(lr, device=self._parameters[0].device) if on_gpu else lr
        kind = partial(torch.optim.AdamW, weight_decay=weight_decay) if weight_decay else torch.optim.Adam
        self._adam = kind(self._parameters, lr=step_size, betas=betas, fused=True, capturable=on_gpu)

    def set_lr(self, lr: float) -> None:
        """Step size from now on; the same one again costs nothing."""
        if lr == self.lr:
            return
        self.lr = lr
        group = self._adam.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr

    def step(self, gradients: Sequence[Tensor]) -> Tensor | None:
        """Update the parameters; the gradients' global norm before clipping, None where nothing is clipped."""
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            # The fused kernel reads memory as it lies, whatever strides `torch.autograd.grad` has given a gradient.
            parameter.grad = gradient.contiguous()
        norm = None
        if self._max_norm is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters, self._max_norm, foreach=True)
        self._adam.step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """The moments and step counts, by name."""
        for parameter in self._parameters:
            if not self._adam.state[parameter]:
                self._create(parameter)
        return {
            f"{index}/{name}": value
            for index, parameter in enumerate(self._parameters)
            for name, value in self._adam.state[parameter].items()
        }

    def _create(self, parameter: nn.Parameter) -> None:
        """What the optimizer itself would make at its first step."""
        count = torch.zeros((), device=parameter.device if parameter.is_cuda else None)
        moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        self._adam.state[parameter] = {"step": count, **moments}


@torch.no_grad()
def move_towards(target: nn.Module, source: nn.Module, share: float) -> None:
    """target <- (1 - share) target + share source, for every parameter and every buffer that is saved."""
    torch._foreach_lerp_(list(target.state_dict().values()), list(source.state_dict().values()), share)
