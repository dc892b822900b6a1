"""What finished runs of a package's training command leave behind, and what may be done with it."""

from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from offlow_core.testing import tiny_data
from offlow_core.testing.commands import refusal, runs_in
from offlow_core.testing.comparisons import assert_close
from offlow_core.testing.tested_program import EVALUATION, ProgramUnderTest
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import AGENT, part_of
from offlow_core.training.saved_run import find_checkpoint
from offlow_core.training.tables import read_table

FILES = {"config.json", "manifest.json", "status.json", "train.csv", "eval.csv", "episodes.csv", "timing.csv"}
FILES |= {"learning_curve.png", "checkpoints", "lock"}


@dataclass(frozen=True)
class FinishedRun:
    """A run, the names of its files and what its command printed."""

    variant: str
    run: RunDirectory
    files: frozenset[str]
    out: str
    err: str


class FinishedRuns(ProgramUnderTest):
    """Part of the battery."""

    @classmethod
    def finished_files(cls, run: RunDirectory) -> Iterable[str]:
        """Names of what a finished run has beside the files that every run has."""
        return ()

    @classmethod
    def finish(cls, variant: str, words: Sequence[str], folder: Path) -> FinishedRun:
        """A finished run of a variant."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            run = cls.train([*words, *cls.variants[variant], *EVALUATION], folder)
        files = frozenset(path.name for path in run.path.iterdir())
        return FinishedRun(variant, run, files, out.getvalue(), err.getvalue())

    @pytest.fixture(scope="class")
    @classmethod
    def ogbench_run(cls, tmp_path_factory) -> FinishedRun:
        """The default agent on a manipulation task with held-out data: 4 steps, a row of metrics every 2."""
        folder, agent = tmp_path_factory.mktemp("cube"), next(iter(cls.variants))
        words = [*tiny_data.write_cube(folder), "--offline_steps=4", "--log_interval=2", "--eval_interval=1000"]
        return cls.finish(agent, words, folder / "runs")

    @pytest.fixture(scope="class")
    @classmethod
    def d4rl_run(cls, variant, hopper, tmp_path_factory) -> FinishedRun:
        """Each variant on a D4RL file: 6 steps, evaluated every 2, a row of metrics every 3."""
        words = [*hopper, "--offline_steps=6", "--log_interval=3", "--eval_interval=2"]
        return cls.finish(variant, words, tmp_path_factory.mktemp(variant) / "runs")

    def check_finished(self, done: FinishedRun, task: str) -> None:
        """What every finished run leaves and says."""
        run = done.run
        assert run.path.parent.parts[-2:] == (task, done.variant)
        assert done.files == FILES | set(self.finished_files(run))
        assert run.status["state"] == "finished"
        assert run.config["agent"]["agent_name"] == done.variant
        assert str(run.path / "learning_curve.png") in done.out
        module, backend = self.command.__name__, self.learner.__module__.split(".")[1]
        package = module.partition(".")[0].replace("_", "-")
        assert {"offlow-core", package, backend, "ogbench", "mujoco"} <= set(run.manifest["packages"])

    def test_a_run_on_ogbench_files(self, ogbench_run):
        self.check_finished(ogbench_run, "cube-single-play-singletask-v0")
        run = ogbench_run.run
        train = run.read("train")
        assert train["step"].tolist() == list(range(2 - self.preparing_steps, 5, 2))
        assert np.isfinite(train[self.loss][-2:]).all()
        assert np.isfinite(train[f"validation/{self.loss}"][-2:]).all()
        assert run.read("eval")["step"].tolist() == [1, 4]
        assert run.read("episodes")["length"].max() <= 200
        assert run.manifest["semantics"]["success_timing"] == "pre"
        assert run.manifest["dataset"]["transitions"] == {"train": 3 * 14, "validation": 14}

    def test_a_run_on_a_d4rl_file(self, d4rl_run):
        self.check_finished(d4rl_run, "hopper-medium-v2")
        run = d4rl_run.run
        assert run.read("train")["step"].tolist()[-2:] == [3, 6]
        assert run.manifest["dataset"]["transitions"] == {"train": 3 * 19}
        assert run.manifest["semantics"]["dataset_rules"]["name"] == self.d4rl_rules
        evaluations = run.read("eval")
        assert evaluations["step"].tolist() == [1, 2, 4, 6]
        np.testing.assert_allclose(evaluations["score"], tiny_data.hopper_score(evaluations["return"]), rtol=1e-6)

    def test_saved_policies_are_evaluated(self, d4rl_run, capsys):
        path, main = d4rl_run.run.path, self.command.main
        evaluate = ["evaluate", str(path), "--episodes=2", "--eval_envs=1", "--eval_workers=0"]
        for policy in self.policies:
            words = [] if policy == "policy" else [f"--policy={policy}"]
            assert main([*evaluate, *words]) == 0
            assert f"{policy} after step 6, 2 episodes" in capsys.readouterr().out
        tables = {table.stem: read_table(table) for table in (path / "evaluations").glob("*.csv")}
        assert set(tables) == {f"{policy}-step6-seed0-2episodes" for policy in self.policies}
        returns = {tuple(table["return"]) for table in tables.values()}
        assert {len(pair) for pair in returns} == {2}
        if d4rl_run.variant == self.quick:
            assert len(returns) == len(self.policies) - self.equal_policies
        told = f"{self.command.PROGRAM}: error: unknown policy 'nobody'; there are {', '.join(self.policies)}"
        assert told in refusal(main, [*evaluate, "--policy=nobody"], capsys)

    def test_a_policy_saved_on_ogbench_files_is_evaluated(self, ogbench_run, capsys):
        path = ogbench_run.run.path
        assert self.command.main(["evaluate", str(path), "--episodes=1", "--eval_envs=1", "--eval_workers=0"]) == 0
        assert "policy after step 4, 1 episodes" in capsys.readouterr().out
        assert read_table(path / "evaluations" / "policy-step4-seed0-1episodes.csv")["length"].tolist() == [200]

    def test_each_of_several_seeds_equals_a_run_of_its_own(self, hopper, tmp_path):
        words = [*hopper, *self.variants[self.quick], "--offline_steps=4", "--log_interval=2", "--eval_interval=0"]
        both = [*words, "--seed=3", "--num_seeds=2", f"--save_dir={tmp_path / 'both'}"]
        assert self.command.main(both) == 0
        first, second = runs_in(tmp_path / "both")
        assert [run.config["seed"] for run in (first, second)] == [3, 4]
        assert [run.status["state"] for run in (first, second)] == ["finished", "finished"]
        assert (first.read("train")[self.loss] != second.read("train")[self.loss]).all()
        alone = self.train([*words, "--seed=4"], tmp_path / "alone")
        self.check_same_seed(second, alone)

    def check_same_seed(self, beside_another: RunDirectory, alone: RunDirectory) -> None:
        """Two runs of a seed agree; JAX trains seeds in one program, whose sums round differently."""
        found, expected = find_checkpoint(beside_another), find_checkpoint(alone)
        if self.learner.__module__.startswith("offlow_core.jax"):
            assert_close(beside_another.read("train"), alone.read("train"), rtol=1e-3, atol=1e-4)
            assert_close(part_of(found.arrays, AGENT), part_of(expected.arrays, AGENT))
        else:
            assert (beside_another.path / "train.csv").read_bytes() == (alone.path / "train.csv").read_bytes()
            assert found.path.read_bytes() == expected.path.read_bytes()
