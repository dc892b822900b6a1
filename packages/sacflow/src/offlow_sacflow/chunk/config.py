"""Options of the agents that learn offline, then online. Names and defaults are those of the official agents."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from offlow_core.option_checks import (
    OptionError,
    check,
    check_choices,
    check_not_negative,
    check_positive,
    check_widths,
)

WIDTHS = (512, 512, 512, 512)


@dataclass(frozen=True, kw_only=True)
class ChunkConfig:
    """What all of them have: an ensemble critic of action chunks, one optimizer for critic and actor."""

    agent_name: ClassVar[str]

    lr: float = 3e-4
    """Adam step size of critic and actor."""
    weight_decay: float = 0.0
    """AdamW's, on every parameter; 0: Adam."""
    batch_size: int = 256
    """Chunks per update."""
    horizon_length: int = field(default=5, metadata={"aliases": ("horizon_length",)})
    """Steps h of a chunk, over which the critic bootstraps (also `--horizon_length`)."""
    action_chunking: bool = True
    """Actor and critic know whole chunks; False: first actions only, and the critic still bootstraps over h steps."""
    discount: float = 0.99
    """Discount factor per step."""
    tau: float = 0.005
    """Share of the critics in each update of the target critics."""
    q_agg: Literal["mean", "min"] = "mean"
    """How the Bellman target combines the critics."""
    num_qs: int = 2
    """Critics."""
    value_hidden_dims: tuple[int, ...] = WIDTHS
    """Widths of each critic's hidden layers."""
    layer_norm: bool = True
    """Layer normalisation after every activation of the critics."""
    alpha: float = 100.0
    """Weight of what keeps the actor near the data."""
    actor_type: Literal["distill-ddpg", "best-of-n"] = "distill-ddpg"
    """An actor that climbs the critic, or the best of several draws from the flow that imitates the data."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "lr")
        for name in ("batch_size", "horizon_length", "num_qs"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check_not_negative(self, "weight_decay", "alpha")
        check(self, "discount", lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "tau", lambda value: 0 < value <= 1, "above 0 and at most 1")
        check_widths(self, "value_hidden_dims")


@dataclass(frozen=True, kw_only=True)
class AcfqlConfig(ChunkConfig):
    """QC-FQL (arXiv 2507.07969); FQL with a horizon of 1; n-step FQL without chunks; QC with `best-of-n`."""

    agent_name: ClassVar[str] = "acfql"

    actor_hidden_dims: tuple[int, ...] = WIDTHS
    """Widths of the hidden layers of the imitating flow and of the one-step actor."""
    actor_layer_norm: bool = False
    """Layer normalisation after every activation of theirs."""
    flow_steps: int = 10
    """Euler steps of the imitating flow."""
    use_fourier_features: bool = False
    """The imitating flow sees cosines and sines of the time in its place."""
    fourier_feature_dim: int = 64
    """How many."""
    actor_num_samples: int = 32
    """Draws that `best-of-n` chooses from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self, "actor_hidden_dims")
        for name in ("flow_steps", "actor_num_samples"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check(self, "fourier_feature_dim", lambda value: value >= 4 and value % 2 == 0, "an even number from 4")


@dataclass(frozen=True, kw_only=True)
class ChunkNaiveConfig(AcfqlConfig):
    """A flow that climbs the critic through all its Euler steps, without noise on the way and without entropy."""

    agent_name: ClassVar[str] = "chunk_naive"

    flow_one_step: int = 10
    """Euler steps of the actor."""
    online_alpha: float = field(default=100.0, metadata={"aliases": ("online_alpha",)})
    """`alpha` of the online phase (also `--online_alpha`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_best_of_n(self)
        check(self, "flow_one_step", lambda value: value >= 1, "at least 1")
        check_not_negative(self, "online_alpha")


@dataclass(frozen=True, kw_only=True)
class SacFlowConfig(ChunkConfig):
    """SAC Flow from data (arXiv 2509.25756): one velocity field that imitates, then climbs the critic with entropy."""

    denoising_steps: int = 4
    """Steps of a rollout, K."""
    inference_noise_std: float = 0.02
    """Standard deviation of a step's noise when acting and in the Bellman target."""
    online_noise_std: float = 0.05
    """The same in the actor's loss. The paper reports 0.10; these two are what its code ran with."""
    rollout_noise: Literal["fresh", "fixed"] = "fresh"
    """New noise at every step, or one array for all steps, updates and seeds, as the official gated field has it."""
    online_alpha: float = field(default=100.0, metadata={"aliases": ("online_alpha",)})
    """`alpha` of the online phase (also `--online_alpha`)."""
    sac_alpha: float = 0.2
    """Weight of the entropy; at the start, with `autotune_alpha`."""
    autotune_alpha: bool = True
    """Adjust that weight by the entropy."""
    alpha_lr: float = 3e-4
    """Adam step size of its logarithm."""
    alpha_loss_sign: Literal["upstream", "sac"] = "upstream"
    """With `sac` the weight grows while the entropy is below its target. The official code has the sign reversed, and
    its weight soon vanishes; with noise of fixed scale the other one grows without end."""
    target_entropy: float = 0.0
    """That target, in nats of a whole rollout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_best_of_n(self)
        check_positive(self, "inference_noise_std", "online_noise_std", "alpha_lr")
        check_not_negative(self, "sac_alpha", "online_alpha")
        check(self, "sac_alpha", lambda value: value > 0 or not self.autotune_alpha, "above 0 with autotune_alpha")
        check(self, "target_entropy", math.isfinite, "a finite number")
        check(self, "denoising_steps", lambda value: value >= 1, "at least 1")


@dataclass(frozen=True, kw_only=True)
class ChunkFlowTConfig(SacFlowConfig):
    """SAC Flow-T: the velocity is a transformer decoder's."""

    agent_name: ClassVar[str] = "chunk_flow_t"

    transformer_d_model: int = 128
    """Width of tokens."""
    transformer_n_head: int = 4
    """Heads of attention; over a single token they come to the same, whatever their number."""
    transformer_n_layers: int = 2
    """Decoder layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "transformer_n_head", "transformer_n_layers")
        width, heads = self.transformer_d_model, self.transformer_n_head
        check(self, "transformer_d_model", lambda value: value >= 4 and value % 4 == 0, "a positive multiple of 4")
        if width % heads != 0:
            raise OptionError(f"transformer_d_model must be a multiple of transformer_n_head, got {width} and {heads}")


@dataclass(frozen=True, kw_only=True)
class ChunkFlowGConfig(SacFlowConfig):
    """SAC Flow-G: the velocity is gated, z * (candidate - x), as the state of a gated recurrent unit moves."""

    agent_name: ClassVar[str] = "chunk_flow_g"

    actor_hidden_dims: tuple[int, ...] = WIDTHS
    """Widths of the candidate's hidden layers."""
    actor_layer_norm: bool = False
    """Layer normalisation after every activation of theirs."""
    gate_hidden: int = 256
    """Width of the gate's hidden layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self, "actor_hidden_dims")
        check_positive(self, "gate_hidden")


CHUNK_CONFIGS: dict[str, type[ChunkConfig]] = {
    kind.agent_name: kind for kind in (ChunkFlowTConfig, ChunkFlowGConfig, ChunkNaiveConfig, AcfqlConfig)
}


def _refuse_best_of_n(config: ChunkConfig) -> None:
    """Raise `OptionError` for an actor type that only `AcfqlConfig` itself has."""
    if config.actor_type == "best-of-n":
        raise OptionError(
            "actor_type=best-of-n acts with a flow that only imitates, which this agent has no use for; "
            "choose the agent acfql for it"
        )
