"""Runs that their evaluations end early, on the fake learner: what they leave, and that a kill then changes nothing."""

import numpy as np
import pytest
from fake_learner import PREPARING, TRAINING, FakeLearner
from fake_loop import files_of, make_loop, make_runs, steps_of

from offlow_core.training.learner import Phase
from offlow_core.training.loop import TrainingLoop
from offlow_core.training.run_directory import RunDirectory


def at_step_8(evaluations) -> bool:
    """A rule that ends a run at its third evaluation of [1, 4, 8, 10]."""
    assert evaluations["step"][-1] <= 8
    return evaluations["step"][-1] == 8


@pytest.fixture
def whole(tmp_path) -> list[RunDirectory]:
    """Two seeds that went to their end."""
    runs = make_runs(tmp_path / "whole", (0, 1))
    make_loop(runs, FakeLearner((0, 1))).run()
    return runs


@pytest.fixture
def ended_early(tmp_path) -> list[RunDirectory]:
    """Two seeds that ended after step 8."""
    runs = make_runs(tmp_path / "early", (0, 1))
    make_loop(runs, FakeLearner((0, 1)), ends_early=at_step_8).run()
    return runs


def test_a_run_ends_early_right_after_the_evaluation_that_says_so(whole, ended_early):
    for run, reference in zip(ended_early, whole, strict=True):
        assert steps_of(run, "eval") == [1, 4, 8]
        assert steps_of(run, "train") == [-3, 0, 3, 6]
        assert run.checkpoints.latest().meta == {"step": 8}
        assert (run.checkpoints.path / "000000012-permanent.npz").exists()
        for kind in ("eval", "episodes", "train"):
            for name, column in run.read(kind).items():
                np.testing.assert_array_equal(column, reference.read(kind)[name][: len(column)], err_msg=name)


def test_the_phases_that_would_follow_are_not_entered(tmp_path):
    learner = FakeLearner(phases=(PREPARING, TRAINING, Phase("online", TRAINING.last_step, 5)))
    make_loop(make_runs(tmp_path), learner, ends_early=at_step_8).run()
    assert learner.calls == ["enter preparing", "leave preparing", "enter training"]


def test_training_goes_on_until_all_seeds_may_end(tmp_path):
    runs = make_runs(tmp_path, (0, 1))
    seen = []

    def ends_early(evaluations) -> bool:
        # The first evaluation tells whose table it is; seed 0 could end at step 4, seed 1 at step 8.
        i = [run.read("eval")["return"][0] for run in runs].index(evaluations["return"][0])
        seen.append((i, evaluations["step"][-1]))
        return len(evaluations["step"]) >= (2, 3)[i]

    make_loop(runs, FakeLearner((0, 1)), ends_early=ends_early).run()
    assert [steps_of(run, "eval") for run in runs] == [[1, 4, 8]] * 2
    assert {(0, 4), (1, 4), (0, 8), (1, 8)} <= set(seen)


class Killed(BaseException):
    """What a process that is killed does not live to see."""


MOMENTS = {
    "in the last updates": lambda loop: (4, loop._learner, "advance", 1),
    "before the evaluation": lambda loop: (8, loop._evaluator, "evaluate", 1),
    "between the evaluations of two seeds": lambda loop: (8, loop._evaluator, "evaluate", 2),
    "between two tables": lambda loop: (8, loop.members[1].logger, "log_episodes", 1),
    "before the checkpoint": lambda loop: (8, loop._learner, "is_finite", 1),
    "between the checkpoints of two seeds": lambda loop: (8, loop.members[1].run.checkpoints, "save", 1),
    "before the permanent checkpoint": lambda loop: (8, loop._learner, "is_finite", 2),
    "between the permanent checkpoints of two seeds": lambda loop: (8, loop.members[1].run.checkpoints, "save", 2),
}


def kill(monkeypatch, loop: TrainingLoop, moment: str) -> None:
    """Let a method end the process at its n-th call from a step on."""
    step, thing, name, number = MOMENTS[moment](loop)
    calls, method = [], getattr(thing, name)

    def dying(*args, **kwargs):
        calls.extend([name] if loop.step >= step else [])
        if len(calls) == number:
            raise Killed
        return method(*args, **kwargs)

    monkeypatch.setattr(thing, name, dying)


@pytest.mark.parametrize(
    # Without checkpoints by time the permanent one is the first of the last step.
    ("moment", "minutes"),
    [(moment, minutes) for moment in MOMENTS for minutes in (0.0, 1e9) if minutes == 0 or "permanent" not in moment],
)
def test_killed_around_the_end_and_resumed_equals_uninterrupted(ended_early, tmp_path, monkeypatch, moment, minutes):
    runs = make_runs(tmp_path / "killed", (0, 1))
    options = {"ends_early": at_step_8, "checkpoint_minutes": minutes}
    loop = make_loop(runs, FakeLearner((0, 1)), **options)
    kill(monkeypatch, loop, moment)
    with pytest.raises(Killed):
        loop.run()
    learner = FakeLearner((0, 1))
    again = make_loop(runs, learner, **options)
    again.resume()
    assert (again.step == 8) == ("permanent" in moment)
    again.run()
    assert [files_of(run) for run in runs] == [files_of(run) for run in ended_early]
    assert all((run.checkpoints.path / "000000012-permanent.npz").exists() for run in runs)
    # With a checkpoint after the last evaluation nothing is trained or evaluated again.
    assert (learner.calls == []) == ("permanent" in moment)


def test_an_early_end_that_was_finished_stays_finished(ended_early):
    before = [files_of(run) for run in ended_early]
    learner = FakeLearner((0, 1))
    again = make_loop(ended_early, learner, ends_early=at_step_8)
    again.resume()
    again.run()
    assert learner.calls == []
    assert [files_of(run) for run in ended_early] == before


def test_a_stop_that_comes_with_an_early_end_finds_nothing_left_to_do(tmp_path, capfd):
    (run,) = make_runs(tmp_path)
    make_loop([run], FakeLearner(at={8: "SIGTERM"}), ends_early=at_step_8).run()
    assert run.checkpoints.latest().meta == {"step": 8}
