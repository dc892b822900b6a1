"""Options of DAC and its runs. Defaults and names are those of the official code."""

from dataclasses import dataclass, field
from typing import Literal

from offlow_core.option_checks import OptionError, check, check_choices, check_positive, check_widths
from offlow_core.training.option_tokens import also_written


@dataclass(frozen=True, kw_only=True)
class DacConfig:
    """Diffusion Actor-Critic: noise regression with the gradient of Q, beside an ensemble of critics."""

    T: int = field(default=5, **also_written("T"))
    """Diffusion steps."""
    beta_schedule: Literal["vp", "cosine", "linear"] = field(default="vp", **also_written("beta_schedule"))
    """Noise schedule."""
    sampler: Literal["ddpm", "ddim", "ddpm_qg"] = field(default="ddpm", **also_written("sampler"))
    """Reverse process; ddpm_qg lets the gradient of Q steer every step."""
    ddim_step: int = field(default=5, **also_written("ddim_step"))
    """Steps of ddim."""
    clip_sampler: bool = field(default=True, **also_written("clip_sampler"))
    """Clip predicted actions at every denoising step."""
    time_dim: int = field(default=16, **also_written("time_dim"))
    """Features that the step number is encoded in."""
    hidden_dims: tuple[int, ...] = field(default=(256, 256, 256), **also_written("hidden_dims"))
    """Hidden widths of the noise network and of each critic."""
    layer_norm: bool = field(default=False, **also_written("layer_norm"))
    """Layer normalisation in the noise network."""
    dropout_rate: float = field(default=0.0, **also_written("dropout_rate"))
    """Dropout in the noise network while it is trained."""
    resnet: bool = field(default=False, **also_written("resnet"))
    """A residual noise network, as wide as the first of hidden_dims."""
    batch_size: int = field(default=256, **also_written("batch_size"))
    """Transitions per update."""
    discount: float = field(default=0.99, **also_written("discount"))
    """Discount factor."""
    actor_lr: float = field(default=3e-4, **also_written("actor_lr"))
    """Adam step size of the actor at the start."""
    critic_lr: float = field(default=3e-4, **also_written("critic_lr"))
    """Adam step size of the critics at the start."""
    lr_decay_steps: int | None = field(default=None, **also_written("lr_decay_steps"))
    """Updates after which both step sizes reach 0 along a cosine; None: those of the run."""
    clip_grad_norm: float = field(default=1.0, **also_written("clip_grad_norm"))
    """Global norm that gradients are clipped to: the actor's, and those of all critics together."""
    ema_tau: float = field(default=0.005, **also_written("ema_tau"))
    """Share of the online networks in each update of their slow copies."""
    update_ema_every: int = field(default=5, **also_written("update_ema_every"))
    """Updates between two of the slow actor's."""
    step_start_ema: int = field(default=1000, **also_written("step_start_ema"))
    """Updates before the slow actor, of which the Bellman target samples, moves for the first time."""
    eta: float = field(default=1.0, **also_written("eta"))
    """Weight of the noise regression beside the guidance, at the start."""
    eta_min: float = field(default=0.001, **also_written("eta_min"))
    """Bound of eta under dual ascent."""
    eta_max: float = field(default=100.0, **also_written("eta_max"))
    """Bound of eta under dual ascent."""
    eta_lr: float = field(default=0.0, **also_written("eta_lr"))
    """Step size of dual ascent on eta; 0: eta stays."""
    bc_threshold: float = field(default=1.0, **also_written("bc_threshold"))
    """Noise-regression loss that dual ascent holds; 1 is that of predicting no noise."""
    rho: float = field(default=1.0, **also_written("rho"))
    """Standard deviations of the ensemble in the lower confidence bound; the share of the minimum for `convex`."""
    q_tar: Literal["lcb", "min", "convex", "rand_convex"] = field(default="lcb", **also_written("q_tar"))
    """How the ensemble is combined in the Bellman target."""
    Q_guidance: Literal["soft", "hard", "denoised"] = field(default="soft", **also_written("Q_guidance"))
    """Gradient of Q scaled by the noise level, not scaled, or through the whole reverse process."""
    use_guidance_loss: bool = field(default=True, **also_written("use_guidance_loss"))
    """False: diffusion behaviour cloning (the critic is trained, and still selects actions)."""
    maxQ: bool = field(default=False, **also_written("maxQ"))
    """Bellman target from the best of the sampled next actions instead of their mean."""
    num_qs: int = field(default=10, **also_written("num_qs"))
    """Members of the critic ensemble."""
    num_q_samples: int = field(default=10, **also_written("num_q_samples"))
    """Next actions sampled per transition."""
    num_action_samples: int = field(default=10, **also_written("num_action_samples"))
    """Candidates per action, of which Q selects one."""
    temperature: float = field(default=0.0, **also_written("temperature"))
    """Of the selection: softmax(Q / mean |Q| / temperature); 0: the best."""
    upstream_softmax: bool = False
    """softmax(sign(Q) / temperature), as the official code has it."""
    action_prior: Literal["normal", "zeros"] = field(default="normal", **also_written("action_prior"))
    """What actions are denoised from when the agent acts."""
    upstream_ddim: bool = False
    """The official step of ddim, which is wrong where it leaves steps out."""

    @property
    def agent_name(self) -> str:
        """dac, or dbc without guidance, by which runs are kept apart."""
        return "dac" if self.use_guidance_loss else "dbc"

    @property
    def decay_steps(self) -> int:
        """`lr_decay_steps`, which the options of a run have made a number."""
        if self.lr_decay_steps is None:
            raise ValueError("lr_decay_steps is None, those of the run: outside of a run's options it must be a number")
        return self.lr_decay_steps

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "T", "ddim_step", "batch_size", "actor_lr", "critic_lr")
        check(self, "clip_grad_norm", lambda value: value > 0, "above 0, or inf for no clipping")
        check_positive(self, "update_ema_every", "num_qs", "num_q_samples", "num_action_samples", "eta_min")
        check_widths(self, "hidden_dims")
        check(self, "lr_decay_steps", lambda value: value is None or value >= 1, "at least 1, or None")
        check(self, "time_dim", lambda value: value >= 4 and value % 2 == 0, "an even number from 4")
        check(self, "discount", lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "dropout_rate", lambda value: 0 <= value < 1, "at least 0 and below 1")
        check(self, "ema_tau", lambda value: 0 < value <= 1, "above 0 and at most 1")
        for name in ("eta", "eta_lr", "temperature"):
            check(self, name, lambda value: value >= 0, "at least 0")
        if self.eta_max < self.eta_min:
            raise OptionError(f"eta_max must be at least eta_min, got {self.eta_max} and {self.eta_min}")
        if self.sampler == "ddim" and self.ddim_step > self.T:
            raise OptionError(f"ddim_step must be at most T, got {self.ddim_step} and {self.T}")
