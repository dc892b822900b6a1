"""`diffusion-ql import`: the authors' checkpoints become a run directory that the other commands understand."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offlow_core.option_checks import check
from offlow_core.suites import resolve
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_core.training.command_line import fail, read_record
from offlow_core.training.manifest import build_manifest
from offlow_core.training.option_json import to_json
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import AGENT
from offlow_diffusion_ql.agent import DiffusionQl
from offlow_diffusion_ql.best_score import SELECTIONS, best_score_path, read_best_score, write_best_score
from offlow_diffusion_ql.config import DiffusionQlOptions
from offlow_diffusion_ql.learner import make_agent
from offlow_diffusion_ql.upstream_checkpoint import UpstreamCheckpoint, UpstreamCheckpointError, read_checkpoint

PROGRAM = "diffusion-ql import"
PACKAGES = ("offlow-core", "offlow-diffusion-ql", "torch", "numpy")
DESCRIPTION = (
    "Import the networks that the official driver saved (actor_<epoch>.pth, critic_<epoch>.pth) in a folder, which is "
    "named before the options. The official files hold no averaged policy, no target critics and no optimizers: an "
    "imported policy can be evaluated, filmed and compared, its training cannot be continued."
)


@dataclass(frozen=True)
class ImportOptions:
    """What to import."""

    env_name: str | None = None
    """Task that the policy was trained on; None: the one that variant.json beside the checkpoints names."""
    epoch: int | None = None
    """Epoch of the checkpoint; None: the newest."""
    n_timesteps: int | None = None
    """Euler steps of a flow policy; None: what variant.json says, else 5. A diffusion's checkpoint tells its own."""
    seed: int = 0
    """Seed under which the run is filed."""
    save_dir: str = "runs"
    """Folder for run directories."""

    def __post_init__(self) -> None:
        check(self, "n_timesteps", lambda value: value is None or value >= 1, "at least 1, or None")


def import_command(argv: Sequence[str]) -> int:
    """`diffusion-ql import FOLDER OPTIONS`."""
    if argv and argv[0] in ("-h", "--help"):
        read_record(argv, ImportOptions, program=f"{PROGRAM} FOLDER", description=DESCRIPTION)
    if not argv or argv[0].startswith("-"):
        fail(PROGRAM, "name the folder with actor_<epoch>.pth and critic_<epoch>.pth first")
    options = read_record(argv[1:], ImportOptions, program=f"{PROGRAM} FOLDER", description=DESCRIPTION)
    folder = Path(argv[0])
    checkpoint = read_checkpoint(folder, options.epoch)
    run = import_run(folder, checkpoint, options)
    print(f"{run.path}: {run.config['agent']['agent_name']}, epoch {checkpoint.epoch}")
    print(f"  evaluate it: diffusion-ql evaluate {run.path} --episodes 100")
    return 0


def import_run(folder: Path, checkpoint: UpstreamCheckpoint, options: ImportOptions) -> RunDirectory:
    """A finished run that holds the checkpoint and the result files beside it."""
    variant = read_variant(folder)
    task = resolve(_task_name(folder, variant, options), DiffusionQlOptions().suite)
    config = checkpoint.config
    if variant.get("algo", config.algo) != config.algo:
        raise UpstreamCheckpointError(
            f"{folder}: variant.json says algo {variant['algo']}, but critic_{checkpoint.epoch}.pth is missing"
            if checkpoint.critic is None
            else f"{folder}: variant.json says algo {variant['algo']}, but there is a critic"
        )
    if config.policy == "flow":
        config = replace(config, n_timesteps=options.n_timesteps or int(variant.get("T", config.n_timesteps)))
    run_options = DiffusionQlOptions(env_name=task.name, seed=options.seed, agent=config, save_dir=options.save_dir)
    manifest = build_manifest(
        packages=PACKAGES,
        device="none",
        dataset={"source": "imported checkpoint", "files": [str(folder)]},
        semantics=task.semantics(),
    )
    manifest["session"] = uuid.uuid4().hex
    arrays = {AGENT + name: array for name, array in _agent_arrays(checkpoint, run_options).items()}
    scores = [read_best_score(path) for name in SELECTIONS if (path := best_score_path(folder, name)).exists()]
    run = RunDirectory.create(
        options.save_dir, task.name, config.agent_name, options.seed, to_json(run_options), manifest
    )
    step = checkpoint.epoch * config.steps_per_epoch
    run.checkpoints.save(step, arrays, {"step": step}, permanent=True)
    for score in scores:
        write_best_score(run.path, score)
    run.set_status("finished", scores={f"{s.selection}-selected (authors')": 100 * s.normalised_mean for s in scores})
    return run


def _agent_arrays(checkpoint: UpstreamCheckpoint, options: DiffusionQlOptions) -> dict[str, np.ndarray]:
    """A whole agent's state; the average is the policy itself and the target critics are the critics."""
    shape, cpu = (checkpoint.observation_dim,), torch.device("cpu")
    agent = make_agent(options.agent, shape, checkpoint.action_dim, seed=options.seed, device=cpu)
    load_arrays(agent.actor.state_dict(), checkpoint.actor)
    if isinstance(agent, DiffusionQl) and checkpoint.critic is not None:
        load_arrays(agent.actor_ema.state_dict(), checkpoint.actor)
        for critic in (agent.critic, agent.critic_target):
            load_arrays(critic.state_dict(), checkpoint.critic)
    return to_arrays(agent.state())


def read_variant(folder: Path) -> dict[str, Any]:
    """The options that the official driver left beside its checkpoints in variant.json; empty where there are none."""
    path = folder / "variant.json"
    if not path.exists():
        return {}
    try:
        variant = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UpstreamCheckpointError(f"{path} is damaged ({error}); delete it and give --env_name") from error
    if not isinstance(variant, dict):
        raise UpstreamCheckpointError(f"{path}: expected an object of options, got {type(variant).__name__}")
    return variant


def _task_name(folder: Path, variant: Mapping[str, Any], options: ImportOptions) -> str:
    name = options.env_name or variant.get("env_name")
    if not isinstance(name, str):
        raise UpstreamCheckpointError(f"no variant.json in {folder} names the task; give it with --env_name")
    return name
