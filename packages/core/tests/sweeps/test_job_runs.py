"""Runs with which something is wrong: they are named and do not count, whatever it is, and nothing stops for them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_jobs import attempt, toy_folder

from offlow_core.sweeps.attempt import FINISHED
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.sweeps.job_runs import read_runs
from offlow_core.sweeps.next_step import plan
from offlow_core.training.run_record import UnusableRunError, read_run

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def finished(environments, tmp_path_factory) -> JobFolder:
    """A finished job of two seeds."""
    folder = toy_folder(tmp_path_factory.mktemp("finished"), seeds=(0, 1))
    assert attempt(folder, environments) == FINISHED
    return folder


@pytest.fixture
def folder(finished, tmp_path) -> JobFolder:
    """A copy of it, to be damaged."""
    shutil.copytree(finished.path, tmp_path / "one")
    return JobFolder.open(tmp_path / "one")


def changed(name: str, **values: Any) -> Damage:
    """Other values in a JSON file of a run."""

    def damage(run: Path) -> None:
        file = run / name
        file.write_text(json.dumps(json.loads(file.read_bytes()) | values))

    return damage


def written(name: str, text: str) -> Damage:
    """Another content of a file."""
    return lambda run: (run / name).write_text(text) and None


def folder_for(name: str) -> Damage:
    """A folder in the place of a file, which cannot be read as a file, whoever one is."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return damage


def last_row(change: Callable[[str], str]) -> Damage:
    """Another last row in eval.csv."""

    def damage(run: Path) -> None:
        *rows, last = (run / "eval.csv").read_text().splitlines()
        (run / "eval.csv").write_text("\n".join([*rows, change(last), ""]))

    return damage


NESTED = "[" * 100_000
OF_ANY_RUN = {
    "scores null": (changed("status.json", scores={"last": None}), "the score by the rule 'last' is None"),
    "scores text": (changed("status.json", scores="x"), "scores is 'x'"),
    "scores list": (changed("status.json", scores=[1]), "scores is [1]"),
    "scores NaN": (changed("status.json", scores={"last": float("nan")}), "the score by the rule 'last' is nan"),
    "no start": (changed("status.json", started=None), "None"),
    "error text": (changed("status.json", error="x"), "TypeError"),
    "seed list": (changed("config.json", seed=[0]), "[0]"),
    "session list": (changed("manifest.json", session=[1]), "session is [1]"),
    "nested status": (written("status.json", NESTED), "status.json"),
    "nested config": (written("config.json", NESTED), "config.json"),
    "no object": (written("manifest.json", "[]"), "manifest.json"),
    "no eval.csv": (folder_for("eval.csv"), "eval.csv"),
    "no train.csv": (folder_for("train.csv"), "train.csv"),
    "a step of 5,000 digits": (written("train.csv", f"step\n{'9' * 5000}\n"), "ValueError"),
}
OF_A_FINISHED_RUN = {
    "NaN score": (last_row(lambda row: f"{row.split(',')[0]}{',' * row.count(',')}"), "scores that are no numbers"),
    "torn row": (last_row(lambda row: row.partition(",")[0]), "the file is damaged"),
    "another score": (changed("status.json", scores={"last": 99.0}), "it reported 99"),
    "no evaluations": (lambda run: (run / "eval.csv").unlink(), "eval.csv has no score"),
}
OF_AN_UNFINISHED_RUN = {
    "unknown state": (changed("status.json", state="done"), "expected a state (running, "),
    "no lock": (folder_for("lock"), "lock"),
    "checkpoints": (lambda run: (shutil.rmtree(run / "checkpoints"), written("checkpoints", "x")(run)), "checkpoints"),
}


def check_left_out(folder: JobFolder, damage: Damage, reason: str) -> None:
    """Once damaged, the first run is named with the reason; the second one counts; the job is not finished."""
    first, second = folder.status().runs
    damage(first)
    runs = read_runs(folder.runs_path)
    assert list(runs.damaged) == [first]
    assert reason in runs.damaged[first]
    assert "\n" not in runs.damaged[first]
    assert [run.path for run in runs.by_seed.values()] == [second]
    status = folder.status()
    assert (status.state, status.runs) == ("interrupted", (second,))
    assert status.reason.startswith(f"the run of seed 0 is missing ({first}: ")
    assert plan(folder).reason == "starts"


def cases(damages: dict[str, tuple[Damage, str]]) -> pytest.MarkDecorator:
    """A test for each damage."""
    return pytest.mark.parametrize(("damage", "reason"), damages.values(), ids=damages)


@cases(OF_ANY_RUN | OF_A_FINISHED_RUN)
def test_a_damaged_finished_run_does_not_count(folder, damage, reason):
    check_left_out(folder, damage, reason)


@cases(OF_ANY_RUN | OF_AN_UNFINISHED_RUN)
def test_a_damaged_unfinished_run_does_not_count(folder, damage, reason):
    for run in folder.status().runs:
        changed("status.json", state="interrupted")(run)
    check_left_out(folder, damage, reason)


@cases(OF_A_FINISHED_RUN)
def test_a_comparison_leaves_the_same_runs_out(folder, damage, reason):
    first, second = folder.status().runs
    damage(first)
    with pytest.raises(UnusableRunError) as told:
        read_run(first)
    assert reason in str(told.value)
    assert read_runs(folder.runs_path).damaged == {first: str(told.value)}
    read_run(second)


def test_a_run_that_was_never_to_be_evaluated_is_complete(environments, tmp_path):
    folder = toy_folder(tmp_path, "--eval_interval=0")
    assert attempt(folder, environments) == FINISHED
    assert (folder.status().state, folder.status().reason) == ("finished", "skipped")


@pytest.mark.parametrize("name", ["lock", "log.txt"])
def test_a_job_whose_own_file_cannot_be_read_has_failed(tmp_path, name):
    folder = toy_folder(tmp_path)
    (folder.path / name).mkdir()
    status = folder.status()
    assert status.state == "failed"
    assert status.reason == f"its lock or its log cannot be read: [Errno 21] Is a directory: '{folder.path / name}'"
