"""Whole commands with a fake learner: what a run directory holds in the end, whatever the end was."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from offlow_core.suites.fitted_environment import UnusableEnvironmentError
from offlow_core.training import session
from offlow_core.training.checkpoints import CheckpointError
from offlow_core.training.curves import plot_run
from offlow_core.training.loop import DivergedError
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError


def test_a_finished_run_is_complete(stage, capsys):
    assert stage.train() == 0
    (folder,) = stage.folders()
    names = {path.name for path in folder.iterdir()}
    expected = {"config.json", "manifest.json", "status.json", "train.csv", "eval.csv", "episodes.csv", "timing.csv"}
    assert names == expected | {"checkpoints", "learning_curve.png", "lock"}
    run = RunDirectory.open(folder)
    status = run.status
    assert (status["state"], status["error"], status["resumed"]) == ("finished", None, [])
    assert set(status["scores"]) == {"last", "best (online-selected)"}  # a mean needs three evaluations
    assert set(status["timing"]) == {"wall_s", "evaluation_s"}
    assert run.config["agent"] == {"agent_name": "fake", "speed": 1.0}
    manifest = run.manifest
    assert manifest["dataset"]["sha256"] == stage.dataset.train.checksum()
    assert (manifest["device"], manifest["semantics"]) == ("cpu: fake", {"score": "success", "suite": "fake"})
    scores = run.read("eval")["score"]
    assert status["scores"]["last"] == scores[-1]
    shown = capsys.readouterr()
    assert f"{folder}: success: last {scores[-1]:.1f}" in shown.out
    assert "5 transitions" in shown.err


def test_an_environment_for_online_steps_is_made_before_the_offline_ones(stage, monkeypatch):
    def make(render_mode=None):
        raise UnusableEnvironmentError("corridor: its simulator is not installed")

    task = replace(stage.task("corridor"), make_environment=make)
    monkeypatch.setattr(session, "resolve", lambda name, options: task)
    assert stage.train("--eval_interval=0") == 0
    with pytest.raises(UnusableEnvironmentError, match="its simulator is not installed"):
        stage.train("--eval_interval=0", "--online_steps=5")
    assert len(stage.folders()) == 1


def test_seeds_get_a_directory_each_and_share_a_session(stage):
    assert stage.train("--num_seeds=2", "--seed=4") == 0
    runs = [RunDirectory.open(folder) for folder in stage.folders()]
    assert [run.config["seed"] for run in runs] == [4, 5]
    assert runs[0].manifest["session"] == runs[1].manifest["session"]
    assert (runs[0].read("train")["toy/loss"] != runs[1].read("train")["toy/loss"]).all()


@pytest.mark.parametrize(("happening", "message"), [("nan loss", "toy/loss is nan at step 6")])
def test_divergence_is_recorded(stage, happening, message):
    stage.at = {6: happening}
    with pytest.raises(DivergedError, match=message):
        stage.train()
    status = RunDirectory.open(stage.folders()[0]).status
    assert status["state"] == "failed"
    assert status["error"]["type"] == "DivergedError"
    assert message in status["error"]["message"]


def test_a_full_disk_is_recorded(stage, monkeypatch):
    fsync = os.fsync

    def fail(descriptor: int) -> None:
        if "checkpoints/.000000009" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match="no space left"):
        stage.train("--save_interval=5", "--checkpoint_minutes=1000")
    run = RunDirectory.open(stage.folders()[0])
    assert run.status["state"] == "failed"
    assert "no space left" in run.status["error"]["message"]
    assert run.checkpoints.latest().meta == {"step": 0}
    monkeypatch.setattr(os, "fsync", fsync)
    assert stage.train("--resume", "--save_interval=5", "--checkpoint_minutes=1000") == 0
    assert RunDirectory.open(stage.folders()[0]).status["state"] == "finished"


def test_a_signal_leaves_an_interrupted_run_and_status_130(stage, capsys):
    stage.at = {7: "SIGTERM"}
    assert stage.train() == 130
    (folder,) = stage.folders()
    assert RunDirectory.open(folder).status["state"] == "interrupted"
    assert f"continue with --resume {folder}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--resume"], ["--resume=DIR"]])
def test_a_resumed_run_equals_an_uninterrupted_one(stage, words):
    stage.train("--num_seeds=2")
    references = {RunDirectory.open(folder).config["seed"]: folder for folder in stage.folders()}
    stage.at = {7: "SIGTERM"}
    stage.train("--num_seeds=2")
    folders = [folder for folder in stage.folders() if folder not in references.values()]
    stage.at = {}
    words = [word.replace("DIR", str(folders[1])) for word in words]
    assert stage.train(*words, *(["--num_seeds=2"] if words == ["--resume"] else [])) == 0
    assert len(stage.folders()) == 4
    for folder in folders:
        run = RunDirectory.open(folder)
        assert run.status["state"] == "finished"
        assert len(run.status["resumed"]) == 1
        assert run.status["error"] is None
        for name in ("train.csv", "eval.csv", "episodes.csv"):
            assert (folder / name).read_bytes() == (references[run.config["seed"]] / name).read_bytes()


class SecondEvaluation:
    """Ends a run after its second evaluation and reports the first one too."""

    def __init__(self):
        self.asked = []

    def ends_early(self, evaluations):
        return len(evaluations["step"]) == 2

    def scores(self, run, score):
        self.asked.append((run.path, score.name))
        return {"first": float(run.read("eval")["score"][0])}


def test_a_selection_may_end_a_run_and_adds_its_scores(stage, capsys):
    stage.selection = SecondEvaluation()
    assert stage.train() == 0
    (folder,) = stage.folders()
    run = RunDirectory.open(folder)
    assert run.read("eval")["step"].tolist() == [1, 5]
    assert run.read("train")["step"][-1] == 3
    assert run.checkpoints.latest().meta == {"step": 5}
    assert (run.checkpoints.path / "000000009-permanent.npz").exists()  # 4 preparing steps before
    status = run.status
    assert status["state"] == "finished"
    assert set(status["scores"]) == {"last", "best (online-selected)", "first"}
    assert status["scores"]["first"] == run.read("eval")["score"][0]
    assert stage.selection.asked == [(folder, "success")]
    assert "first " in capsys.readouterr().out


def test_a_run_that_ended_early_can_be_finished_again(stage):
    stage.selection = SecondEvaluation()
    stage.train()
    (folder,) = stage.folders()
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv") if path.name != "timing.csv"}
    scores = RunDirectory.open(folder).status["scores"]
    assert stage.train(f"--resume={folder}") == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert RunDirectory.open(folder).status["scores"] == scores
    assert stage.learners[-1].calls == ["close"]


def test_a_selection_has_nothing_to_choose_from_without_evaluations(stage):
    stage.selection = SecondEvaluation()
    stage.train("--eval_interval=0")
    assert RunDirectory.open(stage.folders()[0]).status["scores"] == {}
    assert stage.selection.asked == []


def test_a_run_killed_while_it_drew_its_pictures_can_be_finished(stage, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("offlow_core.training.session.plot_run", killed)
    with pytest.raises(KeyboardInterrupt):
        stage.train()
    monkeypatch.setattr("offlow_core.training.session.plot_run", plot_run)
    assert stage.train("--resume") == 0
    assert RunDirectory.open(stage.folders()[0]).status["state"] == "finished"


def test_other_data_are_refused_and_the_run_stays_as_it_was(stage):
    from fake_program import make_dataset

    stage.at = {7: "SIGTERM"}
    stage.train()
    (folder,) = stage.folders()
    before = json.loads((folder / "status.json").read_text())
    stage.dataset = make_dataset(seed=1)
    with pytest.raises(RunDirectoryError, match="was trained on other data"):
        stage.train("--resume")
    assert json.loads((folder / "status.json").read_text()) == before
