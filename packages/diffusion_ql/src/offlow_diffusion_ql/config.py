"""Options of Diffusion-QL and its runs. Names and defaults are those of the official driver, `main.py`."""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

from offlow_core.data.reward_rules import DIFFUSION_QL, find_rule
from offlow_core.option_checks import OptionError, check, check_choices
from offlow_core.torch.options import TorchOptions

EVALUATION_EPOCHS = 50  # the official interval, in whose units its learning rate decays


@dataclass(frozen=True)
class DiffusionQlConfig:
    """A diffusion or flow policy, trained by imitation (bc) or by imitation and a critic's gradient (ql)."""

    policy: Literal["diffusion", "flow"] = field(
        default="diffusion", metadata={"switches": {"is_flow_matching": ("flow", "diffusion")}}
    )
    """How actions are generated (also `--is_flow_matching`, `--no-is_flow_matching`)."""
    algo: Literal["ql", "bc"] = field(default="ql", metadata={"aliases": ("algo",)})
    """Q-learning, or behaviour cloning only (also `--algo`)."""
    n_timesteps: int = field(default=5, metadata={"aliases": ("T",)})
    """Denoising steps, or Euler steps of the flow (also `--T`)."""
    beta_schedule: Literal["vp", "linear", "cosine"] = field(default="vp", metadata={"aliases": ("beta_schedule",)})
    """Noise schedule of the diffusion (also `--beta_schedule`)."""
    predict_epsilon: bool = True
    """The network predicts the noise; False: the action itself."""
    clip_denoised: bool = True
    """Clamp the predicted action at every denoising step."""
    max_action: float = 1.0
    """Bound of the actions, 1 in every task here."""
    actor_hidden: int = 256
    """Width of the policy network's three hidden layers."""
    critic_hidden: int = 256
    """Width of each critic's three hidden layers."""
    time_dim: int = 16
    """Features that the step number is encoded in."""
    batch_size: int = field(default=256, metadata={"aliases": ("batch_size",)})
    """Transitions per update (also `--batch_size`)."""
    lr: float = field(default=3e-4, metadata={"aliases": ("lr",)})
    """Adam step size of the policy (also `--lr`)."""
    critic_lr: float = 3e-4
    """Adam step size of the critics; official runs never change it."""
    eta: float = field(default=1.0, metadata={"aliases": ("eta",)})
    """Weight of the Q loss beside the imitation loss (also `--eta`)."""
    discount: float = field(default=0.99, metadata={"aliases": ("discount",)})
    """Discount factor (also `--discount`)."""
    tau: float = field(default=0.005, metadata={"aliases": ("tau",)})
    """Share of the critics in each update of the target critics (also `--tau`)."""
    max_q_backup: bool = field(default=False, metadata={"aliases": ("max_q_backup",)})
    """Bellman target from the best of several next actions (also `--max_q_backup`)."""
    max_q_repeats: int = 10
    """How many next actions that are."""
    grad_norm: float = field(default=5.0, metadata={"aliases": ("gn",)})
    """Global norm that gradients are clipped to, each network on its own; 0 or less: no clipping (also `--gn`)."""
    ema_decay: float = 0.995
    """What the averaged policy, which the Bellman target samples from, keeps of itself at each of its updates."""
    step_start_ema: int = 1000
    """Updates before the averaged policy moves for the first time; until then it is the random initial one."""
    update_ema_every: int = 5
    """Updates between two of its updates."""
    lr_decay: bool = field(default=False, metadata={"aliases": ("lr_decay",)})
    """Cosine decay of both step sizes (also `--lr_decay`)."""
    lr_decay_unit: Literal["interval", "epoch"] = "interval"
    """The decay advances every 50 epochs, as published, where it hardly matters, or every epoch, down to 0."""
    num_epochs: int = 2000
    """Advances after which the decay would reach 0; published: the epochs of the run."""
    steps_per_epoch: int = 1000
    """Updates in an epoch, by which step sizes decay and results are dated; `offline_steps` is the length of a run."""
    reward_tune: str = field(default="no", metadata={"aliases": ("reward_tune",)})
    """Change of the dataset's rewards: no, normalize, iql_antmaze, cql_antmaze, antmaze or iql_locomotion."""
    n_action_samples: int = 50
    """Candidates per action, of which one is drawn with probability softmax(Q); behaviour cloning draws one."""
    flow_q_gradient: Literal["full", "none"] = "full"
    """Whether the flow policy feels the critic through its Euler steps; `none` is what the fork's code does."""
    flow_loss: Literal["l2_norm", "mse"] = "l2_norm"
    """Imitation loss of the flow: mean distance, as in the fork, or mean squared error per dimension."""

    @property
    def agent_name(self) -> str:
        """The name of the combination, by which runs are kept apart."""
        return f"{self.policy}_{self.algo}"

    def __post_init__(self) -> None:
        check_choices(self)
        find_rule(DIFFUSION_QL, self.reward_tune)
        for name in ("n_timesteps", "actor_hidden", "critic_hidden", "batch_size", "max_q_repeats"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in ("update_ema_every", "num_epochs", "steps_per_epoch", "n_action_samples"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in ("lr", "critic_lr", "max_action"):
            check(self, name, lambda value: value > 0, "above 0")
        for name in ("eta", "step_start_ema"):
            check(self, name, lambda value: value >= 0, "at least 0")
        for name in ("discount", "ema_decay"):
            check(self, name, lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "tau", lambda value: 0 < value <= 1, "above 0 and at most 1")
        check(self, "time_dim", lambda value: value >= 4 and value % 2 == 0, "an even number from 4")


@dataclass(frozen=True)
class DiffusionQlOptions(TorchOptions):
    """Options of one run."""

    changeable: ClassVar[frozenset[str]] = TorchOptions.changeable | {"selection", "offline_rule", "top_k"}

    preset: Literal["auto", "paper", "fork_parity", "none"] = "auto"
    """Published settings as defaults: `auto` where the task has some; `fork_parity` as the flow fork trains."""
    d4rl_rules: Literal["fql", "dac", "diffusion_ql"] = "diffusion_ql"
    """Conversion of D4RL files: which paper's reward shift, trajectory ends and action clipping."""
    env_name: str = field(default="walker2d-medium-expert-v2", metadata={"aliases": ("env",)})
    """Task to train on (also `--env`)."""
    offline_steps: int = 2_000_000
    """Updates on the dataset."""
    save_dir: str = field(default="runs", metadata={"aliases": ("dir",)})
    """Folder for run directories (also `--dir`)."""
    eval_interval: int = 50_000
    """Steps between evaluations, besides the first and last step; 0: none."""
    selection: Literal["offline", "online"] = field(default="offline", metadata={"aliases": ("ms",)})
    """Which evaluation a run reports: chosen by the imitation loss, or by the return itself (also `--ms`)."""
    offline_rule: Literal["upstream", "corrected"] = "upstream"
    """Offline selection as the official code does it, or as evidently meant; see docs/diffusion_ql.md."""
    top_k: int = field(default=1, metadata={"aliases": ("top_k",)})
    """The number, from 0, that `offline_rule` turns into an evaluation (also `--top_k`)."""
    early_stop: bool = False
    """End the run at the first evaluation before which the imitation loss has risen."""
    save_best_model: bool = False
    """Keep a checkpoint of every evaluation, so that the selected one can be used."""
    agent: DiffusionQlConfig = field(default_factory=DiffusionQlConfig)
    """Hyperparameters of the agent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "top_k", lambda value: value >= 0, "at least 0")
        if self.early_stop and self.num_seeds > 1:
            raise OptionError("early_stop ends each seed at its own time: train them one by one, with num_seeds 1")
        if self.early_stop and self.eval_interval == 0:
            raise OptionError("early_stop compares evaluation intervals: it needs an eval_interval above 0")
        if self.save_best_model:
            self._keep_every_evaluation()

    def _keep_every_evaluation(self) -> None:
        if self.eval_interval == 0:
            raise OptionError("save_best_model keeps what is evaluated: it needs an eval_interval above 0")
        if self.save_interval == 0:
            object.__setattr__(self, "save_interval", self.eval_interval)
        if self.eval_interval % self.save_interval != 0:
            raise OptionError(
                f"save_best_model needs a save_interval that divides eval_interval ({self.eval_interval}), "
                f"got {self.save_interval}; leave --save_interval out"
            )


@dataclass(frozen=True)
class FlowQlOptions(DiffusionQlOptions):
    """Options of a run of the flow-matching variant."""

    agent: DiffusionQlConfig = field(default_factory=partial(DiffusionQlConfig, policy="flow"))
    """Hyperparameters of the agent."""


@dataclass(frozen=True)
class DiffusionBcOptions(DiffusionQlOptions):
    """Options of a run of diffusion behaviour cloning."""

    agent: DiffusionQlConfig = field(default_factory=partial(DiffusionQlConfig, algo="bc"))
    """Hyperparameters of the agent."""


@dataclass(frozen=True)
class FlowBcOptions(DiffusionQlOptions):
    """Options of a run of flow-matching behaviour cloning."""

    agent: DiffusionQlConfig = field(default_factory=partial(DiffusionQlConfig, policy="flow", algo="bc"))
    """Hyperparameters of the agent."""


VARIANTS: dict[str, type[DiffusionQlOptions]] = {
    "diffusion_ql": DiffusionQlOptions,
    "flow_ql": FlowQlOptions,
    "diffusion_bc": DiffusionBcOptions,
    "flow_bc": FlowBcOptions,
}
