"""Options that JAX packages share; imports no JAX, so that command lines are read at once."""

from dataclasses import dataclass
from typing import Literal

from offlow_core.option_checks import check, check_choices, check_positive, check_widths

Encoder = Literal["impala", "impala_small", "impala_large", "impala_debug"]
"""Names of image encoders."""


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """Hyperparameters of agents that train all their networks by one loss, as Flow Q-learning does."""

    lr: float = 3e-4
    """Adam step size of all parameters."""
    batch_size: int = 256
    """Transitions per update."""
    actor_hidden_dims: tuple[int, ...] = (512, 512, 512, 512)
    """Hidden widths of the behaviour flow and of what acts beside it."""
    value_hidden_dims: tuple[int, ...] = (512, 512, 512, 512)
    """Hidden widths of each critic that the actor climbs."""
    layer_norm: bool = True
    """Layer normalisation in the critics."""
    actor_layer_norm: bool = False
    """Layer normalisation in the actor's networks."""
    discount: float = 0.99
    """Discount factor."""
    tau: float = 0.005
    """Share of the online critic in each update of the target critic."""
    q_agg: Literal["min", "mean"] = "mean"
    """How the two target critics are combined in the Bellman target."""
    normalize_q_loss: bool = False
    """Divide the actor's Q loss by the batch mean of |Q|; makes other weights comparable between tasks."""
    q_norm_epsilon: float = 0.0
    """Added to the mean |Q| that `normalize_q_loss` divides by; 0 as published."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "lr", "batch_size")
        check_widths(self, "actor_hidden_dims", "value_hidden_dims")
        check(self, "discount", lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "tau", lambda value: 0 < value <= 1, "above 0 and at most 1")
        check(self, "q_norm_epsilon", lambda value: value >= 0, "at least 0")
