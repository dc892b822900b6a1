"""Options of DAC's runs. Names and defaults are those of the official driver, `main.py`."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal

from offlow_core.data.reward_rules import DAC, find_rule
from offlow_core.option_checks import OptionError, check
from offlow_core.training.options import BalancedOptions
from offlow_dac.config import DacConfig

_TEST_STEPS = {"offline_steps": 10, "eval_interval": 5, "log_interval": 5}


@dataclass(frozen=True, kw_only=True)
class DacOptions(BalancedOptions):
    """Options of one run."""

    env_name: str = field(default="walker2d-medium-v2", metadata={"aliases": ("env",)})
    """Task to train on (also `--env`)."""
    d4rl_rules: Literal["fql", "dac", "diffusion_ql"] = "dac"
    """Conversion of D4RL files: which paper's reward shift, trajectory ends and action clipping."""
    num_seeds: int = field(default=5, metadata={"aliases": ("num_seed",)})
    """Agents trained at once, from consecutive seeds (also `--num_seed`)."""
    preset: Literal["none", "paper"] = "none"
    """Published settings of the task as defaults."""
    gpu: int | None = None
    """Which GPU; None: the first, if there is one."""
    offline_steps: int = field(default=2_000_000, metadata={"aliases": ("max_steps",)})
    """Updates on the dataset (also `--max_steps`, which counts those of `finetune_step` too)."""
    finetune_step: int | None = None
    """Update from which on each follows an environment step; None: never. It splits `offline_steps`."""
    buffer_size: int = 1_000_000
    """Replay capacity of the online phase; at least the dataset and one transition."""
    eval_interval: int = 10_000
    """Steps between evaluations, besides the first and last step; 0: none."""
    eval_episodes: int = field(default=10, metadata={"aliases": ("n_eval_episodes",)})
    """Episodes per evaluation (also `--n_eval_episodes`)."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    save_ckpt: bool = False
    """Keep a checkpoint of every evaluation."""
    save_video: bool = False
    """Film three episodes of the final policy, unless `video_episodes` asks for another number."""
    test: bool = False
    """Ten steps, with an evaluation every five: does everything work?"""
    reward_tune: str = "iql_locomotion"
    """Change of the dataset's rewards: no, iql_locomotion, traj_normalize, reward_normalize, antmaze100, ..."""
    percentile: float = 100.0
    """Share of the trajectories with the highest returns that is trained on."""
    percentage: float = 100.0
    """Share of the trajectories, drawn at random, that is trained on; taken before `percentile`."""
    rand_batch: bool = False
    """Batches of distinct transitions drawn anew, instead of passes over the data in random order."""
    agent: DacConfig = field(default_factory=DacConfig)
    """Hyperparameters of the agent."""

    changeable: ClassVar[frozenset[str]] = BalancedOptions.changeable | {"gpu"}

    def __post_init__(self) -> None:
        if self.test:
            for name, steps in _TEST_STEPS.items():
                object.__setattr__(self, name, steps)
        if self.save_video and self.video_episodes == 0:
            object.__setattr__(self, "video_episodes", 3)
        self._split_steps()
        super().__post_init__()
        find_rule(DAC, self.reward_tune)
        for name in ("percentile", "percentage"):
            check(self, name, lambda value: 0 < value <= 100, "above 0 and at most 100")
        check(self, "gpu", lambda value: value is None or value >= 0, "at least 0")
        if self.save_ckpt and self.save_interval == 0:
            object.__setattr__(self, "save_interval", self.eval_interval)
        if self.agent.lr_decay_steps is None:
            object.__setattr__(self, "agent", replace(self.agent, lr_decay_steps=self.total_steps))

    def _split_steps(self) -> None:
        """The official driver counts updates through, of which those from `finetune_step` on are online."""
        check(self, "finetune_step", lambda value: value is None or value >= 0, "at least 0, or None")
        if self.finetune_step is not None and self.finetune_step < self.offline_steps:
            if self.online_steps > 0:
                raise OptionError("finetune_step splits offline_steps (--max_steps): leave online_steps out")
            online = self.offline_steps - self.finetune_step
            object.__setattr__(self, "offline_steps", self.finetune_step)
            object.__setattr__(self, "online_steps", online)


@dataclass(frozen=True, kw_only=True)
class DbcOptions(DacOptions):
    """Options of a run of diffusion behaviour cloning: the same without guidance."""

    agent: DacConfig = field(default_factory=partial(DacConfig, use_guidance_loss=False))
    """Hyperparameters of the agent."""


VARIANTS: dict[str, type[DacOptions]] = {"dac": DacOptions, "dbc": DbcOptions}
