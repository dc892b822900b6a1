"""Hyperparameters of SAC Flow from scratch. Defaults and names are those of the official scripts, one per policy."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from offlow_core.option_checks import OptionError, check, check_choices, check_not_negative, check_positive
from offlow_core.training.option_tokens import also_written


@dataclass(frozen=True, kw_only=True)
class ScratchConfig:
    """Soft actor-critic with a flow policy; what its three velocity networks have in common."""

    agent_name: ClassVar[str]

    denoising_steps: int = field(default=4, **also_written("denoising_steps"))
    """Steps from noise to action, K."""
    batch_size: int = field(default=512, **also_written("batch_size"))
    """Transitions per update."""
    gamma: float = field(default=0.99, **also_written("gamma"))
    """Discount factor."""
    tau: float = field(default=1.0, **also_written("tau"))
    """Share of the critics in each update of the target critics; unused with `crossq_style`."""
    policy_lr: float = field(default=3e-4, **also_written("policy_lr"))
    """Adam step size of the policy."""
    q_lr: float = field(default=1e-3, **also_written("q_lr"))
    """Adam step size of the critics, and of alpha."""
    adam_b1: float = 0.5
    """Decay of Adam's first moments."""
    alpha: float = field(default=0.2, **also_written("alpha"))
    """Weight of the entropy; at the start, with `autotune`."""
    autotune: bool = field(default=True, **also_written("autotune"))
    """Adjust alpha so that the entropy meets `target_entropy`."""
    target_entropy: float = 0.0
    """The entropy of the rollout, in nats, that alpha is adjusted for; the official one, whatever the task."""
    policy_delay: int = field(default=3, **also_written("policy_delay"))
    """Updates of the critics per update of the policy and of alpha."""
    n_critics: int = field(default=2, **also_written("n_critics"))
    """Members of the critic ensemble, of which the Bellman target takes the least."""
    q_hidden: int = 1024
    """Width of each critic's two hidden layers."""
    crossq_style: bool = field(default=True, **also_written("crossq_style"))
    """Critics without targets: one pass over current and next pairs, whose statistics they share."""
    use_batch_norm: bool = field(default=True, **also_written("use_batch_norm"))
    """Batch renormalisation; False: none, but layer normalisation in the transformer."""
    batch_norm_momentum: float = field(default=0.99, **also_written("batch_norm_momentum"))
    """What running statistics keep of themselves at each call."""
    batch_norm_eps: float = 1e-3
    """Added to variances."""
    batch_norm_r_max: float = 3.0
    """Bound of the scale correction, and of its inverse."""
    batch_norm_d_max: float = 5.0
    """Bound of the shift correction."""
    batch_norm_warmup_steps: int = 100_000
    """Calls of a layer before it corrects; until then it is batch normalisation."""
    log_std_min: float = -5.0
    """Least logarithm of the noise's standard deviation."""
    log_std_max: float = 2.0
    """Greatest logarithm of the noise's standard deviation."""

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("denoising_steps", "batch_size", "policy_delay", "n_critics", "q_hidden"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check_positive(self, "policy_lr", "q_lr", "batch_norm_eps", "tau")
        check_not_negative(self, "alpha")
        check(self, "alpha", lambda value: value > 0 or not self.autotune, "above 0 with autotune")
        for name in ("gamma", "tau", "batch_norm_momentum"):
            check(self, name, lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "adam_b1", lambda value: 0 <= value < 1, "at least 0 and below 1")
        check(self, "batch_norm_r_max", lambda value: value >= 1, "at least 1")
        for name in ("batch_norm_d_max", "batch_norm_warmup_steps"):
            check(self, name, lambda value: value >= 0, "at least 0")
        for name in ("target_entropy", "log_std_min", "log_std_max"):
            check(self, name, math.isfinite, "a finite number")
        if self.log_std_max <= self.log_std_min:
            raise OptionError(f"log_std_max must be above log_std_min, got {self.log_std_max} and {self.log_std_min}")


@dataclass(frozen=True, kw_only=True)
class FlowTConfig(ScratchConfig):
    """SAC Flow-T: the velocity is a transformer decoder's."""

    agent_name: ClassVar[str] = "flow_t"

    d_model: int = 96
    """Width of tokens."""
    n_head: int = 4
    """Heads of attention; over a single token they come to the same, whatever their number."""
    n_layers: int = 2
    """Decoder layers."""
    path_logprob: Literal["upstream", "exact"] = "upstream"
    """Likelihood of a rollout: exact, or as the official code has it, without the scales of its noise."""
    freeze_null_params: bool = False
    """Leave parameters alone whose gradient is zero but for rounding, which Adam makes full steps of."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "n_head", "n_layers")
        check(self, "d_model", lambda value: value >= 4 and value % 4 == 0, "a positive multiple of 4")
        if self.d_model % self.n_head != 0:
            raise OptionError(f"d_model must be a multiple of n_head, got {self.d_model} and {self.n_head}")
        if self.freeze_null_params and not self.use_batch_norm:
            raise OptionError("freeze_null_params needs use_batch_norm, without which every parameter has a gradient")


@dataclass(frozen=True, kw_only=True)
class FlowGConfig(ScratchConfig):
    """SAC Flow-G: the velocity is gated, z * (candidate - x), as the state of a gated recurrent unit moves."""

    agent_name: ClassVar[str] = "flow_g"

    gate_hidden: int = 512
    """Width of the hidden layer of the gate, and of that of the candidate."""
    time_emb_dim: int = 32
    """Features that the time is encoded in."""
    logstd_hidden: int = 512
    """Width of the two hidden layers that the noise's scale comes from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "gate_hidden", "logstd_hidden")
        check(self, "time_emb_dim", lambda value: value >= 4 and value % 2 == 0, "an even number from 4")


@dataclass(frozen=True, kw_only=True)
class NaiveConfig(ScratchConfig):
    """A perceptron as velocity network: what the gated and the attending one are compared with."""

    agent_name: ClassVar[str] = "naive"

    actor_hidden: int = 512
    """Width of the two hidden layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "actor_hidden")


CONFIGS: dict[str, type[ScratchConfig]] = {kind.agent_name: kind for kind in (FlowTConfig, FlowGConfig, NaiveConfig)}
