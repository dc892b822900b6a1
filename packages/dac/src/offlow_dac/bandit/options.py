"""Options of the bandit; imports no JAX, so that command lines are read at once."""

from dataclasses import dataclass, field, replace
from typing import Literal

from offlow_core.option_checks import OptionError, check, check_choices
from offlow_dac.bandit.problem import DATA_NAMES
from offlow_dac.config import DacConfig


def bandit_config() -> DacConfig:
    """The published settings, but for the discount: nothing follows a single step."""
    return DacConfig(
        T=50,
        hidden_dims=(64, 64, 64),
        batch_size=128,
        actor_lr=1e-3,
        critic_lr=1e-3,
        eta=1.0,
        eta_lr=0.01,
        bc_threshold=1.3,
        clip_sampler=False,
        step_start_ema=10,
        num_action_samples=1,
        discount=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class BanditOptions:
    """Which pictures to make, and how to train what they show. Defaults are the published settings."""

    data: Literal["all", "two_blobs", "three_blobs", "moons", "circles", "0", "1", "2", "3"] = "all"
    """Which set of actions, by name or number; all: one picture for each."""
    updates: int = field(default=20_000, metadata={"aliases": ("max_steps",)})
    """Of each method (also `--max_steps`); step sizes reach 0 with the last."""
    seed: int = 520
    """Root of all random streams but that of the data, which are always the same."""
    save_dir: str = "bandit_imgs"
    """Folder of the pictures and tables."""
    gpu: int | None = None
    """Which GPU; None: the first, if there is one."""
    agent: DacConfig = field(default_factory=bandit_config)
    """Hyperparameters of all methods."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """The sets of actions, in order."""
        if self.data == "all":
            return DATA_NAMES
        return (DATA_NAMES[int(self.data)] if self.data.isdecimal() else self.data,)

    def __post_init__(self) -> None:
        check_choices(self)
        check(self, "updates", lambda value: value >= 1, "at least 1")
        check(self, "seed", lambda value: value >= 0, "at least 0")
        check(self, "save_dir", lambda value: value != "", "a name, not empty")
        check(self, "gpu", lambda value: value is None or value >= 0, "at least 0")
        if self.agent.Q_guidance != "soft" or not self.agent.use_guidance_loss:
            raise OptionError("every picture shows all kinds of guidance: leave Q_guidance and use_guidance_loss out")
        if self.agent.lr_decay_steps is None:
            object.__setattr__(self, "agent", replace(self.agent, lr_decay_steps=self.updates))
