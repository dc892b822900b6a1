"""What one training run can be told."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from offlow_core.option_checks import OptionError, check
from offlow_core.suites.options import SuiteOptions


@dataclass(frozen=True, kw_only=True)
class RunOptions(SuiteOptions):
    """What every package's training command shares; a package adds its `agent` and the options of its own loop.

    A field's metadata may hold `aliases`: further names under which published command lines write the option.
    """

    changeable: ClassVar[frozenset[str]] = frozenset(
        {"save_dir", "offline_steps", "preset", "dataset_path", "dataset_dir", "eval_envs", "eval_workers"}
        | {
            "video_episodes",
            "save_interval",
            "checkpoint_minutes",
            "keep_checkpoints",
            "wandb",
            "wandb_project",
            "tensorboard",
        }
    )
    """Options that a resumed run may change without becoming another run (that the data are the same is checked)."""

    if TYPE_CHECKING:  # not a field here, though checkers take it for one: each package declares it, with its type
        agent: Any

    env_name: str = field(default="cube-double-play-singletask-v0", metadata={"aliases": ("env",)})
    """Task to train on (also `--env`)."""
    seed: int = 0
    """Root of all random streams; with several seeds, the first."""
    num_seeds: int = field(default=1, metadata={"aliases": ("num_seed",)})
    """Agents trained at once, from consecutive seeds (also `--num_seed`)."""
    offline_steps: int = 1_000_000
    """Updates on the dataset."""
    save_dir: str = "runs"
    """Folder for run directories."""
    log_interval: int = 10_000
    """Steps between two rows of training metrics."""
    eval_interval: int = 100_000
    """Steps between evaluations, besides the first and last step; 0: none."""
    eval_episodes: int = 50
    """Episodes per evaluation."""
    eval_envs: int = 10
    """Environments that share one policy call; does not change the result."""
    eval_workers: int | None = None
    """Processes that step them; None: one per core, 0: this process."""
    video_episodes: int = 0
    """Episodes of the final policy to film at the end; needs the extra `video`."""
    save_interval: int = 0
    """Steps between checkpoints that are kept for good; 0: none."""
    checkpoint_minutes: float = 5.0
    """Minutes between checkpoints for `--resume`."""
    keep_checkpoints: int = 2
    """How many of those are kept."""
    wandb: Literal["disabled", "offline", "online"] = "disabled"
    """Weights & Biases as a second logger."""
    wandb_project: str = "offlow"
    """Weights & Biases project."""
    wandb_group: str | None = field(default=None, metadata={"aliases": ("run_group",)})
    """Weights & Biases group (also `--run_group`); None: task and algorithm."""
    tensorboard: bool = False
    """TensorBoard as a further logger, in the run directory; needs the extra `tensorboard`."""
    preset: str = "none"
    """Published settings of the task as defaults."""

    @property
    def suite(self) -> SuiteOptions:
        """The part that decides what the task name means."""
        return SuiteOptions(**{item.name: getattr(self, item.name) for item in fields(SuiteOptions)})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d4rl_goal_seed is None:  # said in full, so that a saved policy is evaluated on the same goal
            object.__setattr__(self, "d4rl_goal_seed", self.seed)
        for name in ("env_name", "save_dir", "wandb_project"):
            check(self, name, lambda value: value != "", "a name, not empty")
        for name in ("num_seeds", "log_interval", "eval_episodes", "eval_envs", "keep_checkpoints"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in _COUNTS_FROM_ZERO:
            check(self, name, lambda value: value is None or value >= 0, "at least 0")
        if self.num_seeds > 1 and self.keep_checkpoints < 2:
            raise OptionError(
                f"keep_checkpoints must be at least 2 with several seeds, got {self.keep_checkpoints}: "
                "a run that is killed while it writes theirs must leave a step of which all have one"
            )
        if self.total_steps == 0:
            raise OptionError("nothing to do: the options ask for 0 steps of training")

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.offline_steps


Options = TypeVar("Options", bound=RunOptions)
"""Those of one package: of one of its agents, or of all of them together."""


@dataclass(frozen=True, kw_only=True)
class OnlineOptions(RunOptions):
    """What is added where an agent can go on training in its environment."""

    online_steps: int = 0
    """Environment steps, with further updates, after the offline phase."""
    buffer_size: int = 2_000_000
    """Replay capacity of the online phase; at least the dataset and one transition."""

    def __post_init__(self) -> None:
        check(self, "online_steps", lambda value: value >= 0, "at least 0")  # before the sum of the steps is looked at
        super().__post_init__()
        check(self, "buffer_size", lambda value: value >= 1, "at least 1")
        if self.online_steps > 0 and self.frame_stack is not None:
            raise OptionError("online_steps must be 0 with frame_stack: the replay buffer holds single observations")

    @property
    def total_steps(self) -> int:
        """Steps of both phases."""
        return self.offline_steps + self.online_steps


@dataclass(frozen=True, kw_only=True)
class BalancedOptions(OnlineOptions):
    """What is added where online batches may be balanced."""

    balanced_sampling: bool = False
    """Online batches: half from the dataset, half from what was collected since."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions(RunOptions):
    """What is added where an agent can look at images."""

    p_aug: float | None = None
    """Probability that a batch of images is randomly cropped; None: never."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "p_aug", lambda value: value is None or 0 <= value <= 1, "between 0 and 1, or None")


def refuse_images_online(options: OnlineOptions) -> None:
    """Raise `OptionError` for online training of an agent that looks at images; `options.agent` has an `encoder`."""
    if options.online_steps > 0 and options.agent.encoder is not None:
        raise OptionError("online_steps must be 0 with an image encoder: online training needs state observations")


_COUNTS_FROM_ZERO = (
    "seed",
    "offline_steps",
    "eval_interval",
    "eval_workers",
    "video_episodes",
    "save_interval",
    "checkpoint_minutes",
)
