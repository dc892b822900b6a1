"""Options of the two agents and their runs. Defaults and names are those of the official code."""

import warnings
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from offlow_core.jax.options import Encoder, JointConfig
from offlow_core.option_checks import check, check_choices, check_positive, check_widths
from offlow_core.training.options import BalancedOptions, ImageOptions, refuse_images_online

Preset = Literal["none", "paper", "paper_online"]


@dataclass(frozen=True)
class FacConfig:
    """Flow Actor-Critic: a behaviour flow is fitted first; its densities penalise the critic out of support."""

    agent_name: ClassVar[str] = "fac"

    lr: float = 3e-4
    """Adam step size of critic and actor."""
    lr_bc: float = 3e-4
    """Adam step size of the behaviour flow."""
    batch_size: int = 256
    """Transitions per actor-critic update; the behaviour flow takes 1, 4 or 16 times as many, by dataset size."""
    actor_hidden_dims: tuple[int, ...] = (512, 512, 512, 512)
    """Hidden widths of the one-step actor."""
    value_hidden_dims: tuple[int, ...] = (512, 512, 512, 512)
    """Hidden widths of each critic."""
    bc_hidden_dims: tuple[int, ...] = (512, 512, 512, 512)
    """Hidden widths of the behaviour flow's velocity field."""
    value_layer_norm: bool = True
    """Layer normalisation in the critics."""
    actor_layer_norm: bool = False
    """Layer normalisation in the one-step actor."""
    bc_layer_norm: bool = False
    """Layer normalisation in the behaviour flow."""
    flow_steps: int = 10
    """Euler steps of the behaviour flow, forwards (actions) and backwards (densities)."""
    normalize_q_loss: bool = True
    """Divide the actor's Q loss by the batch mean of |Q|."""
    distil_loss: bool = True
    """Keep the one-step actor near the behaviour flow started from the same noise."""
    use_cp: bool = True
    """Penalise the critic out of support; False trains the flow actor with a plain critic."""
    fac_alpha: float = 1.0
    """Weight of the critic penalty."""
    fac_lambda: float = 1.0
    """Weight of the distillation loss."""
    fac_threshold: Literal["batch_adaptive", "batch_wide_constant", "dataset_wide_constant"] = "batch_adaptive"
    """Log-density that support ends at: the sample's own, or the least in the batch or dataset (online: batch)."""
    logp_method: Literal["exact", "hutch-rade", "hutch-gaus"] = "exact"
    """Divergence of the flow: the exact trace, or Hutchinson's estimate with Rademacher or Gaussian probes."""
    logp_hutch_probes: int = 8
    """Probes per divergence estimate; unused by `exact`."""
    num_critics: int = 2
    """Members of the critic ensemble."""
    discount: float = 0.995
    """Discount factor; the published runs use this value in every environment."""
    tau: float = 0.005
    """Share of the online critic in each update of the target critic."""
    q_agg: Literal["min", "mean"] = "min"
    """How the target critics are combined in the Bellman target."""
    weight_type: Literal["linear", "logarithmic", "convex", "concave"] = "linear"
    """How the penalty grows as an action leaves the support."""
    encoder: Encoder | None = None
    """Image encoder; None for state observations."""
    evaluation_noise: bool = True
    """Evaluate the stochastic policy, as published; False acts with zero noise."""
    q_norm_epsilon: float = 0.0
    """Added to the mean |Q| that `normalize_q_loss` divides by; 0 as published."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "lr", "batch_size", "flow_steps")
        check_widths(self, "actor_hidden_dims", "value_hidden_dims")
        check(self, "discount", lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "tau", lambda value: 0 < value <= 1, "above 0 and at most 1")
        check(self, "q_norm_epsilon", lambda value: value >= 0, "at least 0")
        check_positive(self, "lr_bc", "logp_hutch_probes", "num_critics")
        check_widths(self, "bc_hidden_dims")
        for name in ("fac_alpha", "fac_lambda"):
            check(self, name, lambda value: value >= 0, "at least 0")
        if self.use_cp and self.fac_threshold == "dataset_wide_constant" and self.logp_method != "exact":
            warnings.warn(
                "fac_threshold=dataset_wide_constant takes the least log-density of the whole dataset, which with "
                f"logp_method={self.logp_method} is mostly estimation noise; use logp_method=exact or "
                "fac_threshold=batch_adaptive",
                stacklevel=3,
            )


@dataclass(frozen=True, kw_only=True)
class FqlConfig(JointConfig):
    """Flow Q-learning: behaviour flow, one-step actor and critic are trained jointly."""

    agent_name: ClassVar[str] = "fql"

    alpha: float = 10.0
    """Weight of the distillation loss; the option to tune per task."""
    flow_steps: int = 10
    """Euler steps of the behaviour flow."""
    encoder: Encoder | None = None
    """Image encoder; None for state observations."""
    evaluation_noise: bool = True
    """Evaluate the stochastic policy, as published; False acts with zero noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "flow_steps")
        check(self, "alpha", lambda value: value >= 0, "at least 0")


@dataclass(frozen=True)
class FacOptions(BalancedOptions, ImageOptions):
    """Options of one FAC run."""

    changeable: ClassVar[frozenset[str]] = BalancedOptions.changeable | {"behaviour_flow_cache"}

    preset: Preset = "none"
    """Published settings of the task as defaults, offline or with online fine-tuning."""
    epoch_flow_proxy: int = 250
    """Passes over the dataset that the behaviour flow is trained for; bc_steps overrides."""
    bc_steps: int | None = None
    """Updates of the behaviour flow; None: as many as epoch_flow_proxy takes."""
    behaviour_flow_cache: str = "auto"
    """Folder of trained behaviour flows to share between runs; auto: the user's cache folder, none: train anew."""
    agent: FacConfig = field(default_factory=FacConfig)
    """Hyperparameters of the agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_images_online(self)
        check(self, "epoch_flow_proxy", lambda value: value >= 1, "at least 1")
        check(self, "bc_steps", lambda value: value is None or value >= 1, "at least 1, or None")
        check(self, "behaviour_flow_cache", lambda value: value != "", "a folder, auto or none")


@dataclass(frozen=True)
class FqlOptions(BalancedOptions, ImageOptions):
    """Options of one FQL run."""

    preset: Preset = "none"
    """Published settings of the task as defaults, offline or with online fine-tuning."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    agent: FqlConfig = field(default_factory=FqlConfig)
    """Hyperparameters of the agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_images_online(self)


VARIANTS: dict[str, type[FacOptions | FqlOptions]] = {"fac": FacOptions, "fql": FqlOptions}
