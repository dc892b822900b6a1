"""Options of SAC Flow's runs. Names and defaults are those of the official scripts, but for the task with chunks.

Their default there, square-mh-low_dim, needs robosuite; Q-chunking's does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from offlow_core.option_checks import OptionError, check
from offlow_core.suites import gymnasium_mujoco, ogbench_names
from offlow_core.torch.options import TorchOptions
from offlow_core.training.option_tokens import last_given
from offlow_core.training.options import OnlineOptions
from offlow_sacflow.chunk.config import (
    AcfqlConfig,
    ChunkConfig,
    ChunkFlowGConfig,
    ChunkFlowTConfig,
    ChunkNaiveConfig,
)
from offlow_sacflow.scratch.config import FlowGConfig, FlowTConfig, NaiveConfig, ScratchConfig

Preset = Literal["none", "paper", "paper_fql"]


@dataclass(frozen=True, kw_only=True)
class ScratchOptions(TorchOptions):
    """Options of a run from scratch."""

    env_name: str = field(default="Humanoid-v4", metadata={"aliases": ("env", "env_id")})
    """Task to train in (also `--env_id`); one of Gymnasium's MuJoCo tasks by name and version, or any other."""
    seed: int = 3407
    """Root of all random streams; with several seeds, the first."""
    offline_steps: int = 0
    """None: training from scratch has no dataset."""
    total_timesteps: int = 1_000_000
    """Environment steps."""
    learning_starts: int = 50_000
    """Steps with random actions before the first update."""
    buffer_size: int = 1_000_000
    """Capacity of the replay buffer."""
    log_interval: int = field(default=5_000, metadata={"aliases": ("log_freq",)})
    """Steps between two rows of training metrics (also `--log_freq`)."""
    eval_interval: int = 50_000
    """Steps between evaluations, besides the first and last step; 0: none. The official scripts have none: they report
    the returns of training episodes, which are logged, too."""
    eval_episodes: int = 10
    """Episodes per evaluation."""
    preset: Literal["none"] = "none"
    """None are published: the defaults are for all tasks."""
    agent: ScratchConfig = field(default_factory=FlowTConfig)
    """Hyperparameters of the agent."""

    changeable: ClassVar[frozenset[str]] = (TorchOptions.changeable | {"total_timesteps"}) - {"offline_steps"}

    def __post_init__(self) -> None:
        check(self, "total_timesteps", lambda value: value >= 0, "at least 0")
        super().__post_init__()
        check(self, "offline_steps", lambda value: value == 0, "0: there is no dataset; see total_timesteps")
        check(self, "learning_starts", lambda value: value >= 0, "at least 0")
        check(self, "buffer_size", lambda value: value >= 2, "at least 2")
        _refuse_frame_stack(self)

    @property
    def total_steps(self) -> int:
        """Environment steps."""
        return self.total_timesteps


@dataclass(frozen=True, kw_only=True)
class FlowTOptions(ScratchOptions):
    """Options of SAC Flow-T from scratch."""

    agent: FlowTConfig = field(default_factory=FlowTConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class FlowGOptions(ScratchOptions):
    """Options of SAC Flow-G from scratch."""

    agent: FlowGConfig = field(default_factory=FlowGConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class NaiveOptions(ScratchOptions):
    """Options of the naive SAC flow from scratch."""

    env_name: str = field(default="Hopper-v4", metadata={"aliases": ("env", "env_id")})
    """Task to train in (also `--env_id`); one of Gymnasium's MuJoCo tasks by name and version, or any other."""
    agent: NaiveConfig = field(default_factory=NaiveConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class ChunkOptions(OnlineOptions, TorchOptions):
    """Options of a run from offline to online, with action chunks."""

    env_name: str = field(default="cube-triple-play-singletask-task2-v0", metadata={"aliases": ("env",)})
    """Task to train on (also `--env`)."""
    preset: Preset = "none"
    """Published settings of the task as defaults; `paper_fql` those of FQL, the agent acfql with a horizon of 1."""
    online_steps: int = 1_000_000
    """Environment steps after the offline phase."""
    start_training: int = 5_000
    """Environment step with which updates begin again."""
    utd_ratio: int = 1
    """Updates per environment step."""
    discount: float = 0.99
    """Discount factor of the rewards within a chunk; `agent.discount` is that of what follows it."""
    sparse: bool = False
    """Rewards -1 and 0 in the place of minus the number of open conditions."""
    dataset_proportion: float = 1.0
    """Share of the dataset, from its beginning, that is trained on."""
    ogbench_dataset_dir: str | None = field(default=None, metadata={"later": True})
    """Folder of an OGBench dataset in shards: files *.npz, besides *-val.npz, that are trained on in the order of
    their names, over and over; None: the task's usual dataset."""
    dataset_replace_interval: int = field(default=1_000, metadata={"later": True})
    """Offline steps after which the next shard takes the place of the one before."""
    log_interval: int = 5_000
    """Steps between two rows of training metrics."""
    agent: ChunkConfig = field(default_factory=AcfqlConfig)
    """Hyperparameters of the agent."""

    changeable: ClassVar[frozenset[str]] = OnlineOptions.changeable | TorchOptions.changeable | {"ogbench_dataset_dir"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start_training", "utd_ratio", "dataset_replace_interval"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check(self, "discount", lambda value: 0 <= value <= 1, "between 0 and 1")
        check(self, "dataset_proportion", lambda value: 0 < value <= 1, "above 0 and at most 1")
        _refuse_frame_stack(self)
        if self.ogbench_dataset_dir is not None:
            self._check_shards()

    def _check_shards(self) -> None:
        check(self, "ogbench_dataset_dir", lambda value: value != "", "a name, not empty")
        if ogbench_names.parse(self.env_name) is None:
            raise OptionError(f"ogbench_dataset_dir is for tasks of OGBench; {self.env_name} is none: leave it out")
        for name, usual in (("dataset_path", None), ("dataset_dir", None), ("dataset_proportion", 1)):
            check(self, name, lambda value, usual=usual: value == usual, f"{usual} with ogbench_dataset_dir")


@dataclass(frozen=True, kw_only=True)
class AcfqlOptions(ChunkOptions):
    """Options of QC-FQL, FQL and QC."""

    agent: AcfqlConfig = field(default_factory=AcfqlConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class ChunkFlowTOptions(ChunkOptions):
    """Options of SAC Flow-T from offline to online."""

    agent: ChunkFlowTConfig = field(default_factory=ChunkFlowTConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class ChunkFlowGOptions(ChunkOptions):
    """Options of SAC Flow-G from offline to online."""

    agent: ChunkFlowGConfig = field(default_factory=ChunkFlowGConfig)
    """Hyperparameters of the agent."""


@dataclass(frozen=True, kw_only=True)
class ChunkNaiveOptions(ChunkOptions):
    """Options of the naive flow from offline to online."""

    agent: ChunkNaiveConfig = field(default_factory=ChunkNaiveConfig)
    """Hyperparameters of the agent."""


def _refuse_frame_stack(options: TorchOptions) -> None:
    """Raise `OptionError` for stacked images, which these agents have no encoder for."""
    check(options, "frame_stack", lambda value: value in (None, 1), "None: these agents look at states, not at images")


VARIANTS: dict[str, type[ScratchOptions | ChunkOptions]] = {
    "flow_t": FlowTOptions,
    "flow_g": FlowGOptions,
    "naive": NaiveOptions,
    "chunk_flow_t": ChunkFlowTOptions,
    "chunk_flow_g": ChunkFlowGOptions,
    "chunk_naive": ChunkNaiveOptions,
    "acfql": AcfqlOptions,
}

SCRIPTS = {
    "SAC_flow_transformer_jax.py": "flow_t",
    "SAC_flow_gru_jax.py": "flow_g",
    "Naive_sac_flow_jax.py": "naive",
    "main.py": "acfql",
    "main_action_reg_three_phase.py": "chunk_flow_t",
}
"""The official scripts, which may be named before the options, and the agents that they train."""

AGENT_FILES = {
    "acfql_transformer_ablation_online_sac": "chunk_flow_t",
    "acfql_gru_ablation_online_sac": "chunk_flow_g",
    "acfql_ablation_online": "chunk_naive",
}
"""What the official code calls its agents."""


def default_variant(words: Sequence[str]) -> str:
    """The agent of a command line that names none: SAC Flow-T for Gymnasium's MuJoCo tasks, QC-FQL for any other.

    `--env_id` is what only the scripts from scratch call the task.
    """
    if last_given(words, ["env_id"]) is not None:
        return "flow_t"
    task = last_given(words, ["env_name", "env"])
    return "flow_t" if task is None or gymnasium_mujoco.parse(task) else "acfql"
