"""Evaluating saved policies: records, scores, checkpoints of choice."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from fake_program import VARIANTS

from offlow_core import extras
from offlow_core.command import main as offlow
from offlow_core.option_checks import OptionError
from offlow_core.training import algorithms, saved_run
from offlow_core.training.algorithms import Algorithm
from offlow_core.training.checkpoints import CheckpointError
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError
from offlow_core.training.run_record import read_run
from offlow_core.training.saved_run import FilmError, evaluate_command, find_checkpoint
from offlow_core.training.saved_scores import SavedScoreError, saved_scores
from offlow_core.training.tables import read_table


def load_policy(options, observation_shape, action_dim, arrays, name):
    """Always right by as much as x says, or standing still."""
    assert (observation_shape, action_dim) == ((2,), 1)
    step = np.full(1, np.clip(arrays["x"][0], -1, 1)) if name == "policy" else np.zeros(1)
    return lambda observations, noise_seeds: np.tile(step, (len(observations), 1))


@pytest.fixture
def trained(stage):
    """A finished run with checkpoints after steps -4 + 5 k."""
    stage.train("--save_interval=5", "--checkpoint_minutes=1000")
    return stage.folders()[0]


def evaluate(folder, *words: str) -> int:
    argv = [str(folder), "--eval_workers=0", *words]
    return evaluate_command(argv, Algorithm("fake", VARIANTS, load_policy))


def test_episodes_are_recorded_and_summed_up(trained, capsys):
    assert evaluate(trained, "--episodes=4") == 0
    table = read_table(trained / "evaluations" / "policy-step10-seed0-4episodes.csv")
    assert table["step"].tolist() == [10] * 4
    assert table["length"].tolist() == [3.0] * 4
    shown = capsys.readouterr().out
    assert f"success {100 * table['success'].mean():.1f}" in shown
    assert "policy after step 10, 4 episodes" in shown


def test_a_comparison_sees_the_run_and_its_score(trained):
    evaluate(trained, "--episodes=4")
    run = read_run(trained)
    table = read_table(trained / "evaluations" / "policy-step10-seed0-4episodes.csv")
    rule = "offlow evaluate (policy, last checkpoint, 4 episodes, seed 0)"
    assert run.selected == {rule: pytest.approx(100 * table["success"].mean())}
    assert run.total_steps == 10
    assert run.score == "success"


def test_the_result_depends_on_the_seed_and_not_on_the_number_of_environments(trained):
    evaluate(trained, "--episodes=5", "--eval_envs=2")
    path = trained / "evaluations" / "policy-step10-seed0-5episodes.csv"
    first = path.read_bytes()
    evaluate(trained, "--episodes=5", "--eval_envs=3")
    assert path.read_bytes() == first
    evaluate(trained, "--episodes=5", "--seed=1")
    other = read_table(path.with_name("policy-step10-seed1-5episodes.csv"))
    assert (other["return"] != read_table(path)["return"]).all()


def test_another_policy_and_another_checkpoint(trained):
    evaluate(trained, "--episodes=2", "--policy=behaviour_flow", "--checkpoint=5")
    assert (trained / "evaluations" / "behaviour_flow-step5-seed0-2episodes.csv").exists()
    run = RunDirectory.open(trained)
    assert find_checkpoint(run, None).meta == {"step": 10}
    assert find_checkpoint(run, 0).meta == {"step": 0}
    with pytest.raises(CheckpointError, match=r"has no checkpoint after step 3; it has \[0, 5, 10\]"):
        find_checkpoint(run, 3)


def test_training_files_stay_as_they_are(trained):
    names = ("train.csv", "eval.csv", "status.json", "checkpoints/000000014-permanent.npz")
    before = [(trained / name).read_bytes() for name in names]
    evaluate(trained, "--episodes=1")
    assert [(trained / name).read_bytes() for name in names] == before


def test_a_run_without_checkpoint_says_what_to_do(trained):
    for path in (trained / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(CheckpointError, match="has no checkpoint yet; let it train on"):
        evaluate(trained)


def test_wrong_words(trained, tmp_path, capsys):
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        evaluate(tmp_path)
    for words in ([], ["--episodes=3"]):
        with pytest.raises(SystemExit) as exit_:
            evaluate_command(words, Algorithm("fake", VARIANTS, load_policy))
        assert exit_.value.code == 2
        assert "name a run directory first" in capsys.readouterr().err


def test_another_environment_can_be_named(trained, monkeypatch):
    asked = []
    resolve = saved_run.resolve
    monkeypatch.setattr(saved_run, "resolve", lambda name, options: asked.append(options) or resolve(name, options))
    evaluate(trained, "--episodes=1", "--environment=reach:Reach")
    evaluate(trained, "--episodes=1")
    assert [options.environment for options in asked] == ["reach:Reach", None]


def test_runs_of_any_packages_are_evaluated_and_what_cannot_be_is_named(trained, tmp_path, monkeypatch, capsys):
    entry = SimpleNamespace(name="fake", load=lambda: Algorithm("fake", VARIANTS, load_policy))
    monkeypatch.setattr(algorithms, "entry_points", lambda group: [entry])
    with pytest.raises(SystemExit) as exit_:
        offlow(["evaluate", str(tmp_path / "gone"), str(trained), "--episodes=3", "--eval_workers=0"])
    assert exit_.value.code == 1
    told = capsys.readouterr()
    assert f"{trained}: policy after step 10, 3 episodes" in told.out
    assert f"not evaluated: {tmp_path / 'gone'} is no run directory" in told.err
    offlow(["evaluate", str(trained), "--episodes=3", "--eval_workers=0"])  # ends well


def test_no_run_at_all_is_a_mistake():
    with pytest.raises(SystemExit, match="name at least one run directory"):
        offlow(["evaluate"])


def test_evaluations_of_other_lengths_stay_beside_each_other(trained):
    for episodes in (2, 3):
        evaluate(trained, f"--episodes={episodes}")
    assert {path.stem for path in (trained / "evaluations").glob("*.csv")} == {
        "policy-step10-seed0-2episodes",
        "policy-step10-seed0-3episodes",
    }


def test_episodes_are_kept_though_filming_fails(trained, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(saved_run.Evaluator, "record_video", fail)
    with pytest.raises(FilmError, match="evaluated, but not filmed: no space left"):
        evaluate(trained, "--episodes=2", "--video_episodes=1")
    assert "policy after step 10, 2 episodes" in capsys.readouterr().out
    found, unusable = saved_scores(trained)
    assert (len(found), unusable) == (1, {})


def test_where_nothing_can_be_kept_nothing_is_played(trained, monkeypatch):
    monkeypatch.setattr(saved_run, "Evaluator", None)
    (trained / "evaluations").write_text("in the way")
    with pytest.raises(SavedScoreError, match="cannot be written to"):
        evaluate(trained)


@pytest.mark.parametrize("config", ["[]", '{"agent": 5}', "[" * 100_000])
def test_a_damaged_run_does_not_keep_others_from_being_evaluated(trained, tmp_path, monkeypatch, capsys, config):
    entry = SimpleNamespace(name="fake", load=lambda: Algorithm("fake", VARIANTS, load_policy))
    monkeypatch.setattr(algorithms, "entry_points", lambda group: [entry])
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "config.json").write_text(config)
    with pytest.raises(SystemExit):
        offlow(["evaluate", str(broken), str(trained), "--episodes=1", "--eval_workers=0"])
    told = capsys.readouterr()
    assert f"{trained}: policy after step 10" in told.out
    assert str(broken) in told.err


def test_films_without_their_extra_are_refused_before_anything_is_played(trained, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    monkeypatch.setattr(saved_run, "Evaluator", None)
    with pytest.raises(OptionError, match="need the extra `video`"):
        evaluate(trained, "--video_episodes=1")
