"""Where the numbers of a run go: always into its directory, to Weights & Biases and TensorBoard if asked."""

import importlib
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from offlow_core.files import atomic_file
from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import MetricKind, RunDirectory
from offlow_core.training.tables import as_number

WandbMode = Literal["online", "offline", "disabled"]


class Logger(Protocol):
    """One destination of a run's numbers."""

    def log(self, kind: MetricKind, step: int, metrics: Mapping[str, Any]) -> None:
        """Take the metrics of one step."""

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take one row per episode of an evaluation."""

    def close(self, *, failed: bool = False) -> None:
        """Finish; nothing is logged afterwards."""


class CsvLogger:
    """The tables in the run directory."""

    def __init__(self, run: RunDirectory):
        self._log = {"train": run.log_train, "eval": run.log_eval, "timing": run.log_timing}
        self._log_episodes = run.log_episodes

    def log(self, kind: MetricKind, step: int, metrics: Mapping[str, Any]) -> None:
        """Add a row to the table of this kind."""
        self._log[kind](step, metrics)

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add a row per episode to `episodes.csv`."""
        self._log_episodes(step, rows)

    def close(self, *, failed: bool = False) -> None:
        """Nothing is left to do: every row is on its way to the disk when `log` returns."""


class WandbLogger:
    """A Weights & Biases run whose files are in the run directory and whose metrics are `<kind>/<name>`.

    `offline` writes `wandb/offline-run-*` for a later `wandb sync` and uses no network; a resumed run keeps its
    identity, which `wandb/id` holds.
    """

    def __init__(
        self,
        run: RunDirectory,
        *,
        mode: Literal["online", "offline"],
        project: str,
        group: str | None = None,
        name: str | None = None,
    ):
        if mode == "offline":
            # Error reports to wandb's makers are network traffic too; read when the module is imported.
            os.environ["WANDB_ERROR_REPORTING"] = "false"
        wandb = _import_wandb()
        folder = run.path.resolve()
        task, algorithm, run_name = folder.parts[-3:]
        self._run = wandb.init(
            mode=mode,
            project=project,
            group=group or f"{task}/{algorithm}",
            name=name or run_name,
            id=_identity(folder),
            resume="allow" if mode == "online" else None,
            dir=folder,
            reinit="create_new",
            config=run.config,
            settings=wandb.Settings(console="off", silent=mode == "offline"),
        )
        # Rows name their step, because wandb's own counter refuses to go back after a resume.
        self._run.define_metric("*", step_metric="step")

    def log(self, kind: MetricKind, step: int, metrics: Mapping[str, Any]) -> None:
        """Send the metrics of one step."""
        numbers = {f"{kind}/{name}": as_number(name, value) for name, value in metrics.items()}
        self._run.log({"step": step} | {name: number for name, number in numbers.items() if number is not None})

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Single episodes stay in the run directory; their means come through `log`."""

    def close(self, *, failed: bool = False) -> None:
        """Finish the W&B run, marked as failed if it did."""
        self._run.finish(exit_code=int(failed))


class LoggerGroup:
    """Several loggers as one."""

    def __init__(self, loggers: Sequence[Logger]):
        self._loggers = loggers

    def log(self, kind: MetricKind, step: int, metrics: Mapping[str, Any]) -> None:
        """Pass the metrics on to every logger."""
        for logger in self._loggers:
            logger.log(kind, step, metrics)

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Pass the episodes on to every logger."""
        for logger in self._loggers:
            logger.log_episodes(step, rows)

    def close(self, *, failed: bool = False) -> None:
        """Close every logger."""
        for logger in self._loggers:
            logger.close(failed=failed)


def make_logger(
    run: RunDirectory,
    *,
    wandb: WandbMode = "disabled",
    project: str = "offlow",
    group: str | None = None,
    name: str | None = None,
    tensorboard: ScoreRule | None = None,
) -> LoggerGroup:
    """CSV tables, plus Weights & Biases unless disabled and TensorBoard where a score is given.

    Neither is imported unless it is used.
    """
    loggers: list[Logger] = [CsvLogger(run)]
    if tensorboard is not None:
        from offlow_core.training.tensorboard_logger import TensorBoardLogger

        loggers.append(TensorBoardLogger(run, tensorboard))
    if wandb != "disabled":
        loggers.append(WandbLogger(run, mode=wandb, project=project, group=group, name=name))
    return LoggerGroup(loggers)


def _import_wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--wandb online or offline needs the package wandb, which is not installed: add the extra `wandb` "
            "(uv run --extra wandb ..., pip install 'offlow-core[wandb]') or leave --wandb disabled"
        ) from error


def _identity(folder: Path) -> str:
    path = folder / "wandb" / "id"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path) as file:
            file.write(uuid.uuid4().hex[:16].encode())
    return path.read_text()
