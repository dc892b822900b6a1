"""Runs of a package's training command that are killed, stopped or evaluated on the way: none of it shows."""

import os
import signal

import pytest

from offlow_core.testing.commands import (
    assert_same_checkpoint,
    assert_same_numbers,
    run_until_killed,
    the_run_in,
)
from offlow_core.testing.tested_program import EVALUATION, ProgramUnderTest
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_run import find_checkpoint

LONG = ["--log_interval=2", "--save_interval=3", "--checkpoint_minutes=1000"]
EVALUATED_EVERY = 7  # neither a row of metrics nor a checkpoint, so that a kill finds an interval half over
SIGNALLED_AFTER = 8  # a row of metrics and no checkpoint
SINCE_EVALUATION = {"stage/sums", "stage/updates_summed"}
"""What interval means are made of; every evaluation begins it anew."""


class InterruptedRuns(ProgramUnderTest):
    """Part of the battery."""

    @pytest.fixture(scope="class")
    @classmethod
    def long_words(cls, request) -> list[str]:
        """A run with rows of metrics every 2 steps and permanent checkpoints every 3; not its evaluations."""
        return [*request.getfixturevalue(cls.long_task), *cls.long, *EVALUATION, *LONG]

    @pytest.fixture(scope="class")
    @classmethod
    def long_run(cls, long_words) -> list[str]:
        """The same, evaluated."""
        return [*long_words, f"--eval_interval={EVALUATED_EVERY}"]

    @pytest.fixture(scope="class")
    @classmethod
    def uninterrupted(cls, long_run, tmp_path_factory) -> RunDirectory:
        """What it leaves if nothing happens to it."""
        return cls.train(long_run, tmp_path_factory.mktemp("uninterrupted"))

    def test_killed_and_resumed_equals_uninterrupted(self, uninterrupted, long_run, tmp_path, last, capfd):
        words = [*long_run, f"--save_dir={tmp_path}"]
        run_until_killed(self.learner, self.command.__name__, last, words)
        run = the_run_in(tmp_path)
        checkpoint = last // 3 * 3
        assert run.status["state"] == "running"
        assert find_checkpoint(run).meta == {"step": checkpoint}
        assert run.read("train")["step"][-1] == last  # a row after the checkpoint, to be written again
        assert self.command.main([*words, "--resume"]) == 0
        assert f"resuming {run.path} after step {checkpoint}" in capfd.readouterr().err
        assert run.status["state"] == "finished"
        assert_same_numbers(run, uninterrupted)

    def test_a_signal_saves_and_resuming_a_named_run_equals_uninterrupted(
        self, uninterrupted, long_run, tmp_path, monkeypatch, capfd
    ):
        advance = self.learner.advance

        def advance_and_signal(learner, step, steps):
            advance(learner, step, steps)
            if step + steps == SIGNALLED_AFTER:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(self.learner, "advance", advance_and_signal)
        assert self.command.main([*long_run, f"--save_dir={tmp_path}"]) == 130
        monkeypatch.undo()
        run = the_run_in(tmp_path)
        assert run.status["state"] == "interrupted"
        told = f"stopped by SIGTERM after step {SIGNALLED_AFTER}; continue with --resume {run.path}"
        assert told in capfd.readouterr().err
        assert self.command.main(["--resume", str(run.path)]) == 0
        assert_same_numbers(run, uninterrupted)

    def test_another_evaluation_interval_trains_the_same(self, uninterrupted, long_words, tmp_path):
        run = self.train([*long_words, "--eval_interval=0"], tmp_path)
        assert (run.path / "train.csv").read_bytes() == (uninterrupted.path / "train.csv").read_bytes()
        mine, theirs = find_checkpoint(run), find_checkpoint(uninterrupted)
        assert_same_checkpoint(mine, theirs, besides=SINCE_EVALUATION)
        assert not (run.path / "eval.csv").exists()
