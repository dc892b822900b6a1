"""Options of the three agents and their runs. Defaults and names are those of the official code."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from offlow_core.jax.options import Encoder, JointConfig
from offlow_core.option_checks import OptionError, check, check_positive
from offlow_core.training.options import BalancedOptions, ImageOptions, refuse_images_online

Preset = Literal["none", "paper", "paper_online"]


@dataclass(frozen=True, kw_only=True)
class RefinementConfig(JointConfig):
    """DeFlow's actor: a cloned flow and a refinement within a trust region."""

    flow_steps: int = 10
    """Euler steps of the behaviour flow."""
    target_divergence: float | Literal["auto"] = 0.001
    """Mean squared refinement per action dimension that is allowed; auto: from the data's action variance."""
    use_lagrange: bool = True
    """Adapt the multiplier to `target_divergence`; False: penalise refinements with the fixed weight `alpha`."""
    initial_log_alpha: float = 1.0
    """Logarithm of the multiplier at the start."""
    alpha: float = 10.0
    """Weight of the squared refinement without `use_lagrange`."""
    squared_fixed_alpha: bool = False
    """Multiply the fixed weight in twice, as the official code does: its 10 acts as 100."""
    fix_bc_flow_online: bool = False
    """Stop cloning online; Adam's momentum still moves the flow for some tens of updates, as in the official code."""
    freeze_bc_flow_online: bool = False
    """Do not move the behaviour flow online at all."""
    offline_steps: int = 1_000_000
    """Updates after which `fix_bc_flow_online` acts: always those of the run."""
    action_selection: Literal["plain", "max_q", "iterative"] = "plain"
    """Evaluated policy: one sample, the best of several by Q, or repeated refinement. Training explores with one."""
    num_samples: int = 10
    """Behaviour actions of which `max_q` refines the best."""
    upstream_argmin: bool = False
    """Let `max_q` refine the worst of them, as the official code does."""
    num_refine_steps: int = 5
    """Refinements that `iterative` applies one after the other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "flow_steps", "num_samples", "num_refine_steps")
        check(self, "target_divergence", _is_divergence, "a number that is at least 0, or auto")
        check(self, "alpha", lambda value: value >= 0, "at least 0")

    @property
    def allowed_divergence(self) -> float:
        """`target_divergence`, which `from_data` has made a number."""
        if self.target_divergence == "auto":
            raise ValueError("target_divergence is left to the dataset: see offlow_deflow.from_data, or give a number")
        return self.target_divergence


@dataclass(frozen=True, kw_only=True)
class ReturnFlowConfig(JointConfig):
    """floq's critic: a flow over returns, and a plain critic distilled from it that the actor climbs."""

    flow_num_ensembles: int = 2
    """Members of the flow critic."""
    distill_num_ensembles: int = 2
    """Members of the distilled critic; as many as of the flow critic."""
    noise_samples: int = 8
    """Integrations per transition and update."""
    noise_coverage: float = 0.1
    """Length of the interval that integrations start from, as a share of the range of returns."""
    critic_flow_steps: int = 8
    """Euler steps of the flow critic."""
    train_at_zero_only: bool = False
    """Train the velocity at time 0 only: a one-step critic, to be used with `critic_flow_steps` 1."""
    embed_time: bool = True
    """Show the networks an embedding of the time instead of the time."""
    time_embedding: Literal["cos", "fourier"] = "cos"
    """cos(u), as the official code does in effect, or cos(pi k u), k = 1 .. `time_embed_dim`, as floq's paper says."""
    time_embed_dim: int = 64
    """Features of the time embedding `fourier`; `cos` is one number."""
    use_prob_embed: bool = True
    """Show the networks a return as a histogram (HL-Gauss) instead of a number."""
    num_bins: int = 51
    """Edges of that histogram."""
    sigma: float = 16.0
    """Its standard deviation in bin widths."""
    reward_offset: float = 0.01
    """How far the range of rewards is widened on both sides for the histogram."""
    block_width: int = 512
    """Width of the flow critic's layers."""
    block_depth: int = 4
    """Hidden layers of the flow critic; of each residual block with `use_resnets`."""
    use_resnets: bool = False
    """Residual networks as velocity fields."""
    num_transformations: int = 2
    """Their number of residual blocks."""
    activate_before_layernorm: bool = True
    """Their order of activation and layer normalisation."""
    r_min: float | None = None
    """Least reward; None: of the dataset, and no more than 0."""
    r_max: float | None = None
    """Largest reward; None: of the dataset, and no less than 0."""
    encoder: str | None = None
    """None: this critic does not take images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("flow_num_ensembles", "distill_num_ensembles", "noise_samples", "critic_flow_steps")
        check_positive(self, *names, "sigma", "block_width", "block_depth", "num_transformations", "time_embed_dim")
        check(self, "num_bins", lambda value: value >= 2, "at least 2")
        for name in ("noise_coverage", "reward_offset"):
            check(self, name, lambda value: value >= 0, "at least 0")
        if self.distill_num_ensembles != self.flow_num_ensembles:
            raise OptionError(
                f"distill_num_ensembles must equal flow_num_ensembles, got {self.distill_num_ensembles} and "
                f"{self.flow_num_ensembles}: the losses of the two critics are added member by member"
            )
        check(
            self,
            "discount",
            lambda value: value < 1,
            "below 1: the range of returns is that of rewards / (1 - discount)",
        )
        check(self, "encoder", lambda value: value is None, "None: a flow critic takes state observations only")
        if self.r_min is not None and self.r_max is not None and self.r_min > self.r_max:
            raise OptionError(f"r_min must not exceed r_max, got {self.r_min} and {self.r_max}")

    @property
    def reward_range(self) -> tuple[float, float]:
        """`r_min` and `r_max`, which `from_data` has made numbers."""
        if self.r_min is None or self.r_max is None:
            raise ValueError("r_min and r_max are left to the dataset: see offlow_deflow.from_data, or give numbers")
        return self.r_min, self.r_max


@dataclass(frozen=True, kw_only=True)
class DeFlowConfig(RefinementConfig):
    """DeFlow: cloned flow, refinement, and a critic as in Flow Q-learning."""

    agent_name: ClassVar[str] = "deflow"

    encoder: Encoder | None = None
    """Image encoder; None for state observations."""


@dataclass(frozen=True, kw_only=True)
class DeFlowVfConfig(RefinementConfig, ReturnFlowConfig):
    """DeFlow-VF: DeFlow's actor with floq's critic."""

    agent_name: ClassVar[str] = "deflowvf"


@dataclass(frozen=True, kw_only=True)
class FloqConfig(ReturnFlowConfig):
    """floq: the one-step actor of Flow Q-learning with floq's critic."""

    agent_name: ClassVar[str] = "floq"

    alpha: float = 10.0
    """Weight of the distillation loss; the option to tune per task."""
    actor_flow_steps: int = 10
    """Euler steps of the behaviour flow."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "actor_flow_steps")
        check(self, "alpha", lambda value: value >= 0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class DeFlowOptions(BalancedOptions, ImageOptions):
    """Options of one DeFlow run."""

    preset: Preset = "none"
    """Published settings of the task as defaults, offline or with online fine-tuning."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    agent: DeFlowConfig = field(default_factory=DeFlowConfig)
    """Hyperparameters of the agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_images_online(self)
        _tell_offline_steps(self)


@dataclass(frozen=True, kw_only=True)
class DeFlowVfOptions(BalancedOptions):
    """Options of one DeFlow-VF run."""

    preset: Preset = "none"
    """Suggested settings of the task as defaults (none are published), offline or with online fine-tuning."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    agent: DeFlowVfConfig = field(default_factory=DeFlowVfConfig)
    """Hyperparameters of the agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _tell_offline_steps(self)


@dataclass(frozen=True, kw_only=True)
class FloqOptions(BalancedOptions):
    """Options of one floq run."""

    preset: Literal["none", "paper", "paper_best", "paper_online"] = "none"
    """Published settings of the task as defaults: floq-def, floq-best, or with online fine-tuning."""
    offline_steps: int = 2_000_000
    """Updates on the dataset."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    eval_interval: int = 20_000
    """Steps between evaluations, besides the first and last step; 0: none."""
    agent: FloqConfig = field(default_factory=FloqConfig)
    """Hyperparameters of the agent."""


Options = DeFlowOptions | DeFlowVfOptions | FloqOptions
VARIANTS: dict[str, type[Options]] = {"deflow": DeFlowOptions, "deflowvf": DeFlowVfOptions, "floq": FloqOptions}


def _is_divergence(value: float | str) -> bool:
    return value == "auto" if isinstance(value, str) else value >= 0


def _tell_offline_steps(options: DeFlowOptions | DeFlowVfOptions) -> None:
    """The agent has to know when its online phase begins."""
    object.__setattr__(options, "agent", replace(options.agent, offline_steps=options.offline_steps))
