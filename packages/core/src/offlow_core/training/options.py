"""What one training run can be told, and the checks that every options record shares."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from offlow_core.errors import UserError


class OptionError(UserError, ValueError):
    """An option has a value that no run could use."""


def check(config: Any, name: str, accepts: Callable[[Any], bool], expected: str) -> None:
    """Raise `OptionError` unless field `name` of `config` satisfies `accepts`; `expected` completes "must be ..."."""
    value = getattr(config, name)
    if not accepts(value):
        raise OptionError(f"{name} must be {expected}, got {value!r}")


def check_choices(config: Any) -> None:
    """Raise `OptionError` unless every `Literal` field of the dataclass `config` holds one of its choices."""
    hints = get_type_hints(type(config))
    for item in fields(config):
        choices = literal_choices(hints[item.name])
        if choices:
            check(config, item.name, lambda value, choices=choices: value in choices, f"one of {list(choices)}")


def literal_choices(hint: Any) -> tuple[Any, ...]:
    """Values that a `Literal` (or a union of a `Literal` and None) admits; empty for any other type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    members = get_args(hint)
    literals = [member for member in members if get_origin(member) is Literal]
    if not literals:
        return ()
    return get_args(literals[0]) + ((None,) if type(None) in members else ())


@dataclass(frozen=True)
class RunOptions:
    """What every package's training command shares; a package adds its `agent` and the options of its own loop.

    A field's metadata may hold `aliases`: further names under which published command lines write the option.
    """

    env_name: str = field(default="cube-double-play-singletask-v0", metadata={"aliases": ("env",)})
    """Task to train on (also `--env`)."""
    seed: int = 0
    """Root of all random streams; with several seeds, the first."""
    num_seeds: int = field(default=1, metadata={"aliases": ("num_seed",)})
    """Agents trained at once, from consecutive seeds (also `--num_seed`)."""
    offline_steps: int = 1_000_000
    """Updates on the dataset."""
    online_steps: int = 0
    """Environment steps, with further updates, after the offline phase."""
    buffer_size: int = 2_000_000
    """Replay capacity of the online phase; at least the dataset and one transition."""
    balanced_sampling: bool = False
    """Online batches: half from the dataset, half from what was collected since."""
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
    p_aug: float | None = None
    """Probability that a batch of images is randomly cropped; None: never."""
    frame_stack: int | None = None
    """Images stacked into one observation; None: no stacking."""
    dataset_path: str | None = None
    """Own dataset file in the task's format; the validation file has the same name with `-val`."""
    dataset_dir: str | None = None
    """Folder of the suite's datasets; None: the suite's usual one."""
    success_timing: Literal["pre", "post"] = "pre"
    """OGBench: reward and success from the state before (as today) or after a step (as in the papers)."""
    legacy_contact_margin: bool = True
    """Keep the contact margins of the published ant tasks, which MuJoCo has changed."""
    wandb: Literal["disabled", "offline", "online"] = "disabled"
    """Weights & Biases as a second logger."""
    wandb_project: str = "offlow"
    """Weights & Biases project."""
    preset: Literal["none", "paper", "paper_online"] = "none"
    """Published settings of the task as defaults, offline or with online fine-tuning."""

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("env_name", "save_dir", "dataset_path", "dataset_dir", "wandb_project"):
            check(self, name, lambda value: value != "", "a name, not empty")
        for name in ("num_seeds", "buffer_size", "log_interval", "eval_episodes", "eval_envs", "keep_checkpoints"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in _COUNTS_FROM_ZERO:
            check(self, name, lambda value: value is None or value >= 0, "at least 0")
        check(self, "p_aug", lambda value: value is None or 0 <= value <= 1, "between 0 and 1, or None")
        check(self, "frame_stack", lambda value: value is None or value >= 1, "at least 1, or None")
        if self.num_seeds > 1 and self.keep_checkpoints < 2:
            raise OptionError(
                f"keep_checkpoints must be at least 2 with several seeds, got {self.keep_checkpoints}: "
                "a run that is killed while it writes theirs must leave a step of which all have one"
            )
        if self.offline_steps + self.online_steps == 0:
            raise OptionError("nothing to do: offline_steps and online_steps are both 0")


_COUNTS_FROM_ZERO = (
    "seed",
    "offline_steps",
    "online_steps",
    "eval_interval",
    "eval_workers",
    "video_episodes",
    "save_interval",
    "checkpoint_minutes",
)
