"""The loop on a fake learner: when things happen, what is kept, and that runs continue as if nothing had happened."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from fake_learner import PREPARING, TRAINING, FakeLearner
from fake_loop import files_of, make_loop, make_runs, steps_of

from offlow_core.option_checks import OptionError
from offlow_core.training.checkpoints import CheckpointError
from offlow_core.training.learner import Phase
from offlow_core.training.loggers import make_logger
from offlow_core.training.loop import DivergedError, LoopSettings, Member, TrainingLoop, evaluation_seed
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.stopping import StoppedError


@pytest.fixture
def uninterrupted(tmp_path) -> list[RunDirectory]:
    runs = make_runs(tmp_path / "uninterrupted", (0, 1))
    make_loop(runs, FakeLearner((0, 1))).run()
    return runs


def test_rows_are_written_at_multiples_and_at_the_ends_of_phases(uninterrupted):
    for run in uninterrupted:
        assert steps_of(run, "train") == [-3, 0, 3, 6, 9, 10]
        assert steps_of(run, "eval") == [1, 4, 8, 10]
        assert steps_of(run, "episodes") == [1, 1, 4, 4, 8, 8, 10, 10]
        evaluations = run.read("eval")
        assert evaluations["score"].tolist() == [50.0] * 4
        assert set(run.read("timing")) == {"step", "updates_per_s", "evaluation_s", "training_s"}
        assert not {"updates_per_s", "evaluation_s"} & (set(run.read("train")) | set(evaluations))
        # x after the update, and the held-out value of the same moment
        assert "validation/toy/loss" in run.read("train")
    first, second = (run.read("train")["toy/loss"] for run in uninterrupted)
    assert (first != second).all()


def test_the_final_checkpoint_is_kept_for_good(uninterrupted):
    names = sorted(path.name for path in (uninterrupted[0].path / "checkpoints").iterdir())
    assert names == ["000000004.npz", "000000014-permanent.npz"]  # the first at the end of the preparing phase
    assert uninterrupted[0].checkpoints.latest().meta == {"step": 10}


def test_phases_are_entered_and_left_in_order(tmp_path):
    learner = FakeLearner()
    loop = make_loop(make_runs(tmp_path), learner)
    assert loop.phase_starts == {"preparing": -4, "training": 0}
    loop.run()
    assert learner.calls == ["enter preparing", "leave preparing", "enter training", "leave training"]


def test_a_phase_of_which_nothing_is_left_to_do_is_passed_over(tmp_path, capfd):
    learner = FakeLearner(skips=["preparing"])
    (run,) = make_runs(tmp_path)
    make_loop([run], learner).run()
    assert learner.calls == ["enter preparing", "enter training", "leave training"]
    assert steps_of(run, "train") == [3, 6, 9, 10]
    assert "preparing: an equal run has done it" in capfd.readouterr().err


def test_phases_without_steps_are_not_entered(tmp_path):
    learner = FakeLearner(phases=(Phase("offline", 0, 0), Phase("online", 0, 5)))
    (run,) = make_runs(tmp_path)
    make_loop([run], learner).run()
    assert learner.calls == ["enter online", "leave online"]
    assert steps_of(run, "eval") == [1, 4, 5]


@pytest.mark.parametrize("eval_interval", [0, 1, 7])
def test_evaluation_does_not_change_training(uninterrupted, tmp_path, eval_interval):
    runs = make_runs(tmp_path / "other", (0, 1))
    make_loop(runs, FakeLearner((0, 1)), eval_interval=eval_interval).run()
    for run, reference in zip(runs, uninterrupted, strict=True):
        assert (run.path / "train.csv").read_bytes() == (reference.path / "train.csv").read_bytes()
        assert run.checkpoints.latest().arrays["x"].tolist() == reference.checkpoints.latest().arrays["x"].tolist()
        expected = {0: [], 1: list(range(1, 11)), 7: [1, 7, 10]}[eval_interval]
        assert steps_of(run, "eval") == expected


def test_a_task_without_an_environment_is_not_evaluated(tmp_path):
    (run,) = make_runs(tmp_path)
    TrainingLoop(FakeLearner(), [Member(run, make_logger(run))], None, lambda _: 0.0, LoopSettings(3, 4, 2)).run()
    assert steps_of(run, "eval") == []
    assert steps_of(run, "train")[-1] == 10


def test_evaluations_have_seeds_of_their_own(tmp_path):
    loop = make_loop(make_runs(tmp_path, (0, 1)), FakeLearner((0, 1)))
    loop.run()
    asked = loop._evaluator.asked
    assert asked == [evaluation_seed(seed, step) for step in (1, 4, 8, 10) for seed in (0, 1)]
    assert len(set(asked)) == 8


def test_checkpoints_at_intervals_are_permanent(tmp_path):
    (run,) = make_runs(tmp_path)
    make_loop([run], FakeLearner(), save_interval=5, checkpoint_minutes=1e9).run()
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == [f"{step:09d}-permanent.npz" for step in (4, 9, 14)]


@pytest.mark.parametrize(("happening", "name"), [("nan loss", "toy/loss is nan"), ("nan grad", "grad/max is nan")])
def test_a_number_that_is_not_finite_ends_the_run_and_keeps_its_checkpoint(tmp_path, happening, name):
    runs = make_runs(tmp_path, (0, 1))
    loop = make_loop(runs, FakeLearner((0, 1), at={9: happening}), save_interval=5)
    with pytest.raises(DivergedError, match=rf"{name} at step 9 \(seed 1\); .* checkpoint of step 5 is kept"):
        loop.run()
    for run in runs:
        assert run.checkpoints.latest().meta == {"step": 5}
        assert steps_of(run, "train") == [-3, 0, 3, 6]
        assert steps_of(run, "eval") == [1, 4, 8]


def test_divergence_before_the_first_checkpoint_says_so(tmp_path):
    with pytest.raises(DivergedError, match=r"at step -3 .* there is no checkpoint yet"):
        make_loop(make_runs(tmp_path), FakeLearner(at={-3: "nan loss"})).run()


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    (run,) = make_runs(tmp_path)
    loop = make_loop([run], FakeLearner(at={7: "nan state"}), save_interval=5)
    with pytest.raises(DivergedError):
        loop.run()
    assert run.checkpoints.steps() == [4, 9]


def test_a_metric_may_be_nan(tmp_path):
    (run,) = make_runs(tmp_path)
    make_loop([run], FakeLearner(at={3: "nan metric"})).run()
    assert np.isnan(run.read("train")["toy/q"]).tolist() == [False, False, True, False, False, False]


def test_a_stop_that_comes_with_the_last_step_finds_nothing_left_to_do(uninterrupted, tmp_path, capfd):
    runs = make_runs(tmp_path / "stopped", (0, 1))
    make_loop(runs, FakeLearner((0, 1), at={10: "SIGTERM"})).run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in uninterrupted]


@pytest.mark.parametrize("at", [-3, 0, 2, 5])
def test_stopped_and_resumed_equals_uninterrupted(uninterrupted, tmp_path, at, capfd):
    runs = make_runs(tmp_path / "stopped", (0, 1))
    with pytest.raises(StoppedError, match="stopped by SIGTERM after step"):
        make_loop(runs, FakeLearner((0, 1), at={at: "SIGTERM"})).run()
    assert all(run.checkpoints.latest().meta["step"] >= at for run in runs)
    again = make_loop(runs, FakeLearner((0, 1)))
    again.resume()
    again.run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in uninterrupted]


@pytest.mark.parametrize("killed_at", [-1, 4, 8])
def test_killed_without_a_word_and_resumed_equals_uninterrupted(uninterrupted, tmp_path, killed_at):
    runs = make_runs(tmp_path / "killed", (0, 1))
    learner = FakeLearner((0, 1), at={killed_at: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        make_loop(runs, learner, save_interval=6, checkpoint_minutes=1e9).run()
    rows = len(steps_of(runs[0], "train"))
    again = make_loop(runs, FakeLearner((0, 1)))
    again.resume()
    # The rows after the last checkpoint are gone.
    assert len(steps_of(runs[0], "train")) < rows or killed_at == 8
    again.run()
    for run, reference in zip(runs, uninterrupted, strict=True):
        assert files_of(run) == files_of(reference)


def test_interval_means_are_of_the_updates_between_regular_evaluations(tmp_path):
    (run,) = make_runs(tmp_path)
    make_loop([run], FakeLearner(phases=(TRAINING,)), log_interval=1).run()
    losses = run.read("train")["toy/loss"]
    evaluations = run.read("eval")
    assert evaluations["step"].tolist() == [1, 4, 8, 10]
    # The evaluation after the first update has none, and that update counts in the interval that follows.
    expected = [np.nan, losses[:4].mean(), losses[4:8].mean(), losses[8:].mean()]
    np.testing.assert_allclose(evaluations["interval/toy/loss"], expected, rtol=1e-12)


def test_seeds_with_different_newest_checkpoints_go_on_from_the_newest_common_one(uninterrupted, tmp_path):
    runs = make_runs(tmp_path / "torn", (0, 1))
    learner = FakeLearner((0, 1))
    loop = make_loop(runs, learner, save_interval=1)
    loop.run()
    runs[1].checkpoints.truncate_after(9)  # killed between the two files of a later step
    again = make_loop(runs, FakeLearner((0, 1)))
    again.resume()
    assert again.step == 5
    assert [steps_of(run, "train")[-1] for run in runs] == [3, 3]
    assert [run.checkpoints.steps()[-1] for run in runs] == [9, 9]
    again.run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in uninterrupted]


def damage(run: RunDirectory, step: int) -> None:
    (path,) = run.checkpoints.path.glob(f"{step:09d}*.npz")
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.filterwarnings("ignore::offlow_core.training.checkpoints.DamagedCheckpointWarning")
def test_a_damaged_checkpoint_of_one_seed_sends_all_of_them_to_the_one_before(uninterrupted, tmp_path):
    runs = make_runs(tmp_path / "damaged", (0, 1))
    make_loop(runs, FakeLearner((0, 1)), save_interval=1).run()
    damage(runs[1], 14)
    damage(runs[0], 13)
    again = make_loop(runs, FakeLearner((0, 1)))
    again.resume()
    assert again.step == 12 - 4
    again.run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in uninterrupted]


@pytest.mark.filterwarnings("ignore::offlow_core.training.checkpoints.DamagedCheckpointWarning")
def test_seeds_without_a_common_intact_checkpoint_are_refused_and_keep_their_files(tmp_path):
    runs = make_runs(tmp_path, (0, 1))
    make_loop(runs, FakeLearner((0, 1)), save_interval=7).run()
    assert [run.checkpoints.steps() for run in runs] == [[4, 11, 14]] * 2
    for run, steps in zip(runs, [(4,), (11, 14)], strict=True):
        for step in steps:
            damage(run, step)
    with pytest.raises(CheckpointError, match="start"):
        make_loop(runs, FakeLearner((0, 1))).resume()
    assert [run.checkpoints.steps() for run in runs] == [[4, 11, 14]] * 2


def test_a_group_of_which_one_has_no_checkpoint_starts_again(uninterrupted, tmp_path):
    runs = make_runs(tmp_path / "torn", (0, 1))
    make_loop(runs, FakeLearner((0, 1))).run()
    runs[1].checkpoints.truncate_after(-1)
    again = make_loop(runs, FakeLearner((0, 1)))
    again.resume()
    assert again.step == -4
    assert [run.checkpoints.steps() for run in runs] == [[], []]
    again.run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in uninterrupted]


def test_a_run_killed_after_its_last_update_can_be_resumed(uninterrupted):
    before = [files_of(run) for run in uninterrupted]
    learner = FakeLearner((0, 1))
    loop = make_loop(uninterrupted, learner)
    loop.resume()
    assert loop.step == 10
    loop.run()
    assert learner.calls == []
    assert [files_of(run) for run in uninterrupted] == before


def test_a_phase_without_steps_starts_nowhere(tmp_path):
    phases = (PREPARING, TRAINING, Phase("online", TRAINING.last_step, 0))
    loop = make_loop(make_runs(tmp_path), FakeLearner(phases=phases))
    assert loop.phase_starts == {PREPARING.name: PREPARING.first_step, TRAINING.name: TRAINING.first_step}


def test_a_run_beyond_its_end_is_refused(uninterrupted):
    shorter = FakeLearner((0, 1), phases=(PREPARING, Phase("training", 0, 8)))
    with pytest.raises(OptionError, match="at step 10, beyond the 8 steps"):
        make_loop(uninterrupted, shorter).resume()


def test_a_longer_run_continues_a_shorter_one(uninterrupted, tmp_path):
    longer = (PREPARING, Phase("training", 0, 14))
    loop = make_loop(uninterrupted, FakeLearner((0, 1), phases=longer))
    loop.resume()
    loop.run()
    runs = make_runs(tmp_path / "whole", (0, 1))
    make_loop(runs, FakeLearner((0, 1), phases=longer)).run()
    for run, reference in zip(uninterrupted, runs, strict=True):
        assert run.checkpoints.latest().arrays["x"].tolist() == reference.checkpoints.latest().arrays["x"].tolist()


def test_a_full_disk_is_named_and_the_earlier_checkpoint_stays(tmp_path, monkeypatch):
    (run,) = make_runs(tmp_path)
    loop = make_loop([run], FakeLearner(), save_interval=5, checkpoint_minutes=1e9)
    fsync, calls = os.fsync, []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if ".npz" in str(Path(f"/proc/self/fd/{descriptor}").readlink()) and run.checkpoints.steps():
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"no space left to write .*000000009"):
        loop.run()
    assert calls
    assert run.checkpoints.latest().meta == {"step": 0}
    assert [path.name for path in run.checkpoints.path.iterdir()] == ["000000004-permanent.npz"]


def test_evaluation_seeds_depend_on_seed_and_step():
    assert len({evaluation_seed(seed, step) for seed in range(5) for step in (0, 1, 100_000, 200_000)}) == 20
    assert TRAINING.last_step == 10
