"""What the training command of every package must do: whole commands on tiny data, with kills, signals and mistakes.

A package describes itself by a subclass in its tests:

    class TestRuns(RunBattery):
        command = offlow_fac.main
        learner = JaxLearner
        variants = {"fac": FAC, "fql": FQL}
        ...

(see `ProgramUnderTest` for all of it) and adds to it, with the same fixtures, what only its own runs have.
"""

import numpy as np
import pytest

from offlow_core.testing import tiny_data
from offlow_core.testing.commands import refusal, the_run_in
from offlow_core.testing.finished_runs import FinishedRuns
from offlow_core.testing.interrupted_runs import InterruptedRuns
from offlow_core.training.saved_run import find_checkpoint


def _with_nan(values: np.ndarray) -> np.ndarray:
    values[7, 0] = np.nan
    return values


class RunBattery(FinishedRuns, InterruptedRuns):
    """The battery; see the module."""

    def test_a_diverging_run_fails_and_says_where(self, hopper, tmp_path, capfd):
        words = [*hopper, *self.variants[self.quick], *self.diverge, "--offline_steps=20", "--eval_interval=0"]
        told = refusal(self.command.main, [*words, "--checkpoint_minutes=0", f"--save_dir={tmp_path}"], capfd)
        assert f"{self.command.PROGRAM}: error:" in told
        assert "training has diverged" in told
        run = the_run_in(tmp_path)
        assert run.status["state"] == "failed"
        assert run.status["error"]["type"] == "DivergedError"
        arrays = find_checkpoint(run).arrays
        assert all(np.isfinite(array).all() for array in arrays.values())

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            pytest.param("observations", _with_nan, id="non-finite"),
            pytest.param("actions", lambda values: values[:, :1], id="wrong width"),
            pytest.param("terminals", lambda values: values[:-1], id="wrong length"),
        ],
    )
    def test_unusable_data_end_with_one_line_and_leave_no_run(self, maze, tmp_path, capfd, name, change):
        damaged = tiny_data.write_damaged(tmp_path, maze, name, change)
        words = [*damaged, *self.variants[self.quick], f"--save_dir={tmp_path / 'runs'}"]
        with pytest.raises(SystemExit) as exit_:
            self.command.main(words)
        assert exit_.value.code == 2
        *_, line = capfd.readouterr().err.strip().splitlines()
        assert line.startswith(f"{self.command.PROGRAM}: error: {tmp_path}")
        assert name in line
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("--preset=none --env_name=cube-singel-play-singletask-v0", "cube-single-play-singletask-v0"),
            ("--preset=none --env_name=cube-single-play-singletask-v0 --dataset_path=nowhere.npz", "nowhere.npz"),
            ("--resume", "has no unfinished run"),
            ("--resume=nowhere", "nowhere is no run directory"),
            ("evaluate nowhere", "nowhere is no run directory"),
            ("evaluate", "name a run directory first"),
        ],
    )
    def test_wrong_commands_end_with_one_line(self, line, message, tmp_path, monkeypatch, capfd):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as exit_:
            self.command.main(line.split())
        assert exit_.value.code == 2
        shown = capfd.readouterr().err.strip()
        assert shown.startswith(self.command.PROGRAM)
        assert "\n" not in shown
        assert message in shown
        assert list(tmp_path.iterdir()) == []
