"""Options of the toy experiments; imports no PyTorch, so that command lines are read at once."""

from dataclasses import dataclass
from typing import Literal

from offlow_core.option_checks import check, check_choices

GradientMode = Literal["whole_grad", "t_middle", "t_last", "last_few"]


@dataclass(frozen=True)
class ToyOptions:
    """Which pictures to make, and how to train what they show. Defaults are the published settings."""

    figure: Literal["bc", "ql", "both"] = "both"
    """Imitation (bc), imitation and Q-learning (ql), or both."""
    T: int = 50
    """Denoising steps of the diffusion, Euler steps of the flow."""
    num_epochs: int = 1000
    """Epochs of training for each method."""
    num_steps_per_epoch: int = 100
    """Updates in an epoch."""
    batch_size: int = 100
    """Points per update."""
    lr: float = 3e-4
    """Adam step size of all networks."""
    hidden_dim: int = 128
    """Width of all hidden layers."""
    eta: float = 2.5
    """Weight of the Q loss beside the imitation loss, for TD3+BC, diffusion and flow (BEAR's is 1, as published)."""
    mode: GradientMode = "whole_grad"
    """Denoising steps whose weights feel the critic: all; a random one of the last fifth of them; only the last one,
    in chains that start from noise at a random one of the first fifth; the last five."""
    bcq_panel: Literal["perturbed", "plain"] = "perturbed"
    """Show BCQ's policy; plain: what it perturbs, the imitation, as the official picture does."""
    save_dir: str = "toy_imgs"
    """Folder of the pictures: bc/ for imitation, and --dir in it for Q-learning."""
    dir: str | None = None
    """Folder of the Q-learning picture inside it; None: the gradient mode's name."""
    seed: int = 2022
    """Root of all random streams."""
    device: str = "auto"
    """auto (the first GPU, else the CPU), cpu, or a GPU as 0 or cuda:0; one that is not there is warned of."""

    @property
    def updates(self) -> int:
        """Of each method."""
        return self.num_epochs * self.num_steps_per_epoch

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("T", "num_epochs", "num_steps_per_epoch", "batch_size", "hidden_dim"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in ("eta", "seed"):
            check(self, name, lambda value: value >= 0, "at least 0")
        check(self, "lr", lambda value: value > 0, "above 0")
        for name in ("save_dir", "dir", "device"):
            check(self, name, lambda value: value != "", "a name, not empty")
