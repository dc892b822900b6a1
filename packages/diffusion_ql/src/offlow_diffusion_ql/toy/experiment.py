"""The two experiments: every method of a picture trained on the bandit, drawn and counted."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from offlow_core.errors import UserError
from offlow_core.torch.device_data import Batch
from offlow_core.training.progress import Progress
from offlow_diffusion_ql.toy.bandit import STATE_DIM, Bandit, make_bandit
from offlow_diffusion_ql.toy.denoising import Denoising
from offlow_diffusion_ql.toy.discrepancy import Discrepancy, DiscrepancyConstrained
from offlow_diffusion_ql.toy.figures import cloning_figure, q_learning_figure
from offlow_diffusion_ql.toy.learning import Method, RewardCritic, Workbench
from offlow_diffusion_ql.toy.likelihood import GaussianLikelihood
from offlow_diffusion_ql.toy.options import ToyOptions
from offlow_diffusion_ql.toy.table import table_text, write_table
from offlow_diffusion_ql.toy.variational import Perturbed, Variational

SAMPLES = 10_000
REPORTED_UPDATES = 100

Make = Callable[[Workbench], Method]

CLONING: Mapping[str, Make] = {
    "BC-MLE": GaussianLikelihood,
    "BC-CVAE": Variational,
    "BC-MMD": Discrepancy,
    "BC-Diffusion": lambda bench: Denoising(bench, "diffusion"),
    "BC-Flow": lambda bench: Denoising(bench, "flow"),
}
Q_LEARNING: Mapping[str, Make] = {
    "TD3+BC": lambda bench: GaussianLikelihood(bench, RewardCritic(bench)),
    "BCQ": lambda bench: Perturbed(bench, RewardCritic(bench)),
    "BEAR-MMD": lambda bench: DiscrepancyConstrained(bench, RewardCritic(bench)),
    "Diffusion-QL": lambda bench: Denoising(bench, "diffusion", RewardCritic(bench)),
    "Flow-QL": lambda bench: Denoising(bench, "flow", RewardCritic(bench)),
}


class ToyError(UserError):
    """A training that came to nothing."""


def run_cloning(options: ToyOptions, device: torch.device) -> None:
    """Imitation of the four corners."""
    bandit = make_bandit(options.seed, rewarded=False)
    # Named as the official picture.
    path = _made_folder(options, "bc") / f"bc_diffusion_{options.T}_sd{options.seed}.pdf"
    samples = _train_all(CLONING, bandit, options, device)
    _report("behaviour cloning", {"data": bandit.actions} | samples, cloning_figure(bandit, samples, path))


def run_q_learning(options: ToyOptions, device: torch.device) -> None:
    """Imitation and rewards, of which the right-down corner has most."""
    bandit = make_bandit(options.seed, rewarded=True)
    settings = f"T{options.T}_eta{options.eta:g}_lr{options.lr:g}_hd{options.hidden_dim}_{options.mode}"
    path = _made_folder(options, options.dir or options.mode) / f"ql_all_{settings}_sd{options.seed}.pdf"
    samples = _train_all(Q_LEARNING, bandit, options, device)
    _report("Q-learning", {"data": bandit.actions} | samples, q_learning_figure(bandit, samples, path))


def train(name: str, make: Make, bandit: Bandit, options: ToyOptions, device: torch.device) -> np.ndarray:
    """10,000 actions [n, 2] of a method trained on the bandit; progress on stderr."""
    bench = Workbench(options, device, name)
    method = make(bench)
    points = {"actions": torch.from_numpy(bandit.actions), "rewards": torch.from_numpy(bandit.rewards)}
    points = {field: values.to(device) for field, values in points.items()}
    states = torch.zeros(options.batch_size, STATE_DIM, device=device)
    generator = bench.generator("batches")
    with Progress(options.updates, phase=name) as progress:
        for update in range(1, options.updates + 1):
            rows = torch.randint(len(bandit.actions), (options.batch_size,), generator=generator, device=device)
            batch: Batch = {"observations": states} | {field: values[rows] for field, values in points.items()}
            method.update(batch)
            if update % REPORTED_UPDATES == 0 or update == options.updates:
                progress.update(update)
    samples = method.sample(torch.zeros(SAMPLES, STATE_DIM, device=device)).cpu().numpy()
    if not np.isfinite(samples).all():
        raise ToyError(f"{name} diverged: not all of its actions are numbers; lower --lr (now {options.lr:g})")
    return samples


def _made_folder(options: ToyOptions, name: str) -> Path:
    """A folder of pictures; made before the training, so that one that cannot be made costs none."""
    folder = Path(options.save_dir) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToyError(f"{folder}, the folder for the pictures, cannot be made: {error}; see --save_dir") from error
    return folder


def _train_all(
    methods: Mapping[str, Make], bandit: Bandit, options: ToyOptions, device: torch.device
) -> dict[str, np.ndarray]:
    return {name: train(name, make, bandit, options, device) for name, make in methods.items()}


def _report(experiment: str, samples: Mapping[str, np.ndarray], pictures: list[Path]) -> None:
    table = write_table(samples, pictures[0].with_suffix(".csv"))
    print(f"\n{experiment}: share of {SAMPLES:,} actions within 0.2 of each corner\n{table_text(samples)}\n")
    print("written:", *(f"  {path}" for path in (*pictures, table)), sep="\n")
