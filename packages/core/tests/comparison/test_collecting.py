"""Which runs count: finished ones, one per method, task and seed; everything else is named with the reason."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from offlow_core.comparison.collecting import (
    LeftOut,
    NoRunsError,
    Source,
    collect,
    without_older_versions,
    without_repetitions,
)
from offlow_core.comparison.methods import named_methods
from offlow_core.sweeps.job import Job
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.run_record import read_run
from offlow_core.training.saved_scores import SavedScore


def reasons(folder: Path) -> dict[str, str]:
    _, left_out = collect([Source(folder)])
    return {run.path.name: run.reason for run in left_out}


def test_a_record_is_what_the_files_say(make_run):
    path = make_run(
        "fac", "cube-single-play-singletask-v0", 3, selected={"offline-selected": 55.0}, agent_options={"alpha": 2}
    )
    run = read_run(path)
    assert (run.task, run.suite, run.agent, run.seed) == ("cube-single-play-singletask-task2-v0", "ogbench", "fac", 3)
    assert run.steps.tolist() == [100, 200, 300]
    assert run.scores.tolist() == [10, 20, 60]
    assert run.seconds.tolist() == [2, 4, 6]  # 100 steps at 50 per second
    assert run.selected == {"offline-selected": 55.0}
    assert (run.total_steps, run.dataset) == (300, "a" * 64)
    assert run.semantics == {"suite": "ogbench", "success_timing": "pre"}
    assert run.options["agent.alpha"] == 2
    assert "save_dir" not in run.options
    assert run.versions == {"offlow-core": "0.1.0", "offlow-fac": "0.1.0"}


def test_times_are_read_between_the_rows_that_have_one(make_run):
    path = make_run(rate=None)
    run = RunDirectory.open(path)
    for step, values in ((0, {"training_s": 10.0}), (100, {"evaluation_s": 9.0}), (300, {"training_s": 40.0})):
        run.log_timing(step, values)
    assert read_run(path).seconds.tolist() == [20, 30, 40]


def test_a_run_that_tells_no_time_is_still_whole(make_run):
    assert np.isnan(read_run(make_run(rate=None)).seconds).all()


@pytest.mark.parametrize("state", ["interrupted", "running"])
def test_unfinished_runs_are_left_out(make_run, tmp_path, state):
    path = make_run(state=state)
    expected = {"interrupted": "interrupted", "running": "killed before its end"}[state]
    assert reasons(tmp_path) == {path.name: f"{expected}; continue with --resume {path}"}


def test_a_failed_run_says_what_failed(make_run, tmp_path):
    path = make_run()
    RunDirectory.open(path).set_status("failed", error=ValueError("critic_loss is nan"))
    assert "ValueError: critic_loss is nan" in reasons(tmp_path)[path.name]


def test_a_run_that_goes_on_is_not_called_killed(make_run, tmp_path):
    path = make_run(state="running")
    with RunDirectory.open(path) as run:
        run.claim()
        assert "still running" in reasons(tmp_path)[path.name]


def test_a_run_killed_by_a_signal_is_named(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from offlow_core.training.run_directory import RunDirectory\n"
        "run = RunDirectory.create(Path(sys.argv[1]), 't', 'a', 0, {'env_name': 't'}, {})\n"
        "print(run.path, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    name = Path(child.stdout.readline().strip()).name
    assert "still running" in reasons(tmp_path)[name]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    time.sleep(0.1)
    assert "killed before its end" in reasons(tmp_path)[name]


@pytest.mark.parametrize("name", ["config.json", "manifest.json", "status.json", "eval.csv", "timing.csv"])
@pytest.mark.parametrize("damage", ["cut", "empty", "binary", "missing"])
def test_damaged_runs_are_named_and_never_a_crash(make_run, tmp_path, name, damage):
    path = make_run(seed=1)
    good = make_run(seed=2)
    file = path / name
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "empty":
            file.write_bytes(b"")
        case "binary":
            file.write_bytes(b"\xff\x00\x93" * 50)
        case "missing":
            file.unlink()
    records, left_out = collect([Source(tmp_path)])
    kept = [run.path for run in records[None]]
    assert good in kept
    whole = (name, damage) == ("timing.csv", "missing")  # without times a run is still whole
    assert (path in kept) == whole
    if not whole:
        assert [(run.path, run.reason != "") for run in left_out] == [(path, True)]


LINES = ["step,score", "1,0.0", "100,10.0", "200,20.0", "300,60.0", "400,80.0"]


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("eval.csv", lambda lines: [line for line in lines if line[:3] != "200"], "but eval.csv has none of step 200"),
        ("eval.csv", lambda lines: [line.replace("20.0", "0.0") for line in lines], "(mean of last 3), but when it"),
        ("eval.csv", lambda lines: [line.replace("400", "401") for line in lines], "eval.csv has none of step 400"),
        ("eval.csv", lambda lines: [*lines, "4000000000000000,80.0"], "eval.csv has none of step 500"),
        ("eval.csv", lambda lines: [*lines, "500,80.0"], "eval.csv ends at step 500 of a run of 400"),
        ("timing.csv", lambda lines: lines[:4], "timing.csv ends at step 300, eval.csv at step 400"),
        ("timing.csv", lambda lines: [line.replace("6.0", "3.0") for line in lines], "seconds of training in timing"),
        ("timing.csv", lambda lines: [line.replace("2.0", "-2.0") for line in lines], "seconds of training in timing"),
    ],
)
def test_tables_with_holes_are_damaged(make_run, tmp_path, file, change, reason):
    path = make_run(scores=(10.0, 20.0, 60.0, 80.0), selected={"mean of last 3": 160 / 3})
    (path / "eval.csv").write_text("".join(f"{line}\n" for line in LINES))
    (path / "timing.csv").write_text("step,training_s\n100,2.0\n200,4.0\n300,6.0\n400,8.0\n")
    assert reasons_of_all(tmp_path) == []
    lines = (path / file).read_text().splitlines()
    (path / file).write_text("".join(f"{line}\n" for line in change(lines)))
    (told,) = reasons_of_all(tmp_path)
    assert reason in told


def reasons_of_all(folder: Path) -> list[str]:
    return [item.reason for item in collect([Source(folder)])[1]]


def test_files_of_another_layout_are_named(make_run, tmp_path):
    path = make_run()
    (path / "manifest.json").write_text(json.dumps({"format": 7}))
    assert "made by another version" in reasons(tmp_path)[path.name]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("step,score\n100,nan\n", "no numbers"),
        ("step,score\n100,inf\n", "no numbers"),
        ("step,score\n200,1.0\n100,2.0\n", "do not increase"),
        ("step,return\n100,1.0\n", "never evaluated"),
        ("step,score\n", "no scores"),
    ],
)
def test_scores_that_cannot_be_used(make_run, tmp_path, table, reason):
    path = make_run()
    (path / "eval.csv").write_text(table)
    assert reason in reasons(tmp_path)[path.name]


def test_a_run_is_read_once_even_if_named_twice(make_run, tmp_path):
    path = make_run()
    records, _ = collect([Source(path, "ours"), Source(tmp_path)])
    assert [(name, run.path) for name, runs in records.items() for run in runs] == [("ours", path)]


@pytest.mark.parametrize("first", [None, "ours"])
def test_a_name_that_would_have_no_runs_is_refused(make_run, tmp_path, first):
    path = make_run()
    with pytest.raises(NoRunsError, match=f"again={tmp_path}: all of its runs belong to .*{path}, which was named"):
        collect([Source(path, first), Source(tmp_path, "again")])


def test_what_cannot_be_entered_is_named_and_the_rest_counts(make_run, tmp_path, monkeypatch):
    path, closed = make_run(), tmp_path / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse(folder):
        if Path(folder) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(closed))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    records, left_out = collect([Source(tmp_path)])
    assert [run.path for run in records[None]] == [path]
    assert left_out == [LeftOut(closed, "cannot be read: Permission denied")]
    with pytest.raises(NoRunsError, match="closed cannot be read: Permission denied"):
        collect([Source(closed)])


@pytest.mark.parametrize("stray", ["train.csv", "config.json", "checkpoints/x"])
def test_stray_files_above_runs_hide_none(make_run, tmp_path, stray):
    path = make_run()
    (tmp_path / stray).parent.mkdir(exist_ok=True)
    (tmp_path / stray).write_text("")
    records, left_out = collect([Source(tmp_path)])
    assert [run.path for run in records[None]] == [path]
    assert left_out == []


@pytest.mark.parametrize("folder", [".", "missing"])
def test_no_runs_are_an_error(tmp_path, folder):
    with pytest.raises(NoRunsError):
        collect([Source(tmp_path / folder)])


def test_a_name_may_stand_before_the_path(tmp_path):
    (tmp_path / "a=b").mkdir()
    assert Source.parse("ours=runs/x") == Source(Path("runs/x"), "ours")
    assert Source.parse(str(tmp_path / "a=b")) == Source(tmp_path / "a=b")


def test_the_same_seed_twice_is_never_averaged(make_run, tmp_path):
    old, new = make_run(scores=[1.0]), make_run(scores=[2.0])
    records, _ = collect([Source(tmp_path)])
    kept, left_out = without_repetitions(named_methods(records))
    assert [run.path for run in kept["fac"]] == [new]
    assert [run.path for run in left_out] == [old]
    assert left_out[0].reason == f"the same method, task and seed (0) as {new}, which is newer"


def test_runs_of_an_older_version_are_left_out_unless_allowed(make_run, tmp_path):
    old, new = make_run(seed=0, version="0.9.0"), make_run(seed=1, version="0.10.0")
    records, _ = collect([Source(tmp_path)])
    kept, left_out = without_older_versions(records)
    assert [run.path for run in kept[None]] == [new]
    reason = "made with offlow-fac 0.9.0; other runs in ogbench with offlow-fac 0.10.0"
    assert left_out == [LeftOut(old, reason)]


@pytest.mark.parametrize("suffix", ["rc1", ".dev1"])
def test_a_version_with_a_suffix_is_older(make_run, tmp_path, suffix):
    make_run(seed=0, version=f"0.2.0{suffix}")
    new = make_run(seed=1, version="0.2.0")
    records, _ = collect([Source(tmp_path)])
    assert [run.path for run in without_older_versions(records)[0][None]] == [new]


def test_versions_are_compared_within_a_suite(make_run, tmp_path):
    old, new = make_run("fac", core="0.1.0"), make_run("dac", core="0.2.0")
    elsewhere = make_run("fac", "hopper-medium-v2", core="0.1.0", semantics={"suite": "d4rl"})
    records, _ = collect([Source(tmp_path)])
    kept, left_out = without_older_versions(records)
    assert {run.path for run in kept[None]} == {new, elsewhere}
    assert [run.path for run in left_out] == [old]


def test_jobs_of_a_sweep_that_have_no_run_are_named(make_run, tmp_path):
    jobs = {name: Job(name, "fac", "fac", ("--env_name=maze",), (0,)) for name in ("begun", "failed", "waiting")}
    folders = {name: JobFolder.in_sweep(tmp_path, job) for name, job in jobs.items()}
    for folder in folders.values():
        folder.write()
    log = "=== offlow: attempt 1\nno GPU\n=== offlow: attempt 1 ended after 3 s with status 1; it failed\n"
    (folders["failed"].path / "log.txt").write_text(log)
    make_run().rename(folders["begun"].path / "run")
    assert reasons(tmp_path) == {
        "failed": "no run directory: the job is failed (exit status 1: no GPU)",
        "waiting": "no run directory: the job is not started",
    }
    overlapping = [Source(tmp_path), Source(tmp_path / "jobs"), Source(folders["waiting"].path)]
    assert [run.path.name for run in collect(overlapping)[1]] == ["failed", "waiting"]
    (tmp_path / "best").symlink_to(folders["begun"].path / "run")
    assert set(reasons(tmp_path)) == {"failed", "waiting"}
    (folders["waiting"].path / "job.json").write_text("{")
    assert "is no job" in reasons(tmp_path)["waiting"]


def test_a_run_that_was_not_evaluated_at_its_end_is_named(make_run, tmp_path):
    path = make_run()
    RunDirectory.open(path).log_timing(400, {"training_s": 8.0})
    assert reasons(tmp_path)[path.name] == "its last evaluation is of step 300, but it trained until step 400"


def test_an_evaluation_that_is_older_than_the_run_is_called_by_its_step(make_run):
    path = make_run()
    (path / "evaluations").mkdir()
    for step in (300, 200):
        SavedScore("policy", step, episodes=50, seed=0, environment=None, score=step / 10).write(path)
    rule = "offlow evaluate (policy, {}, 50 episodes, seed 0)"
    assert read_run(path).selected == {rule.format("last checkpoint"): 30, rule.format("step 200"): 20}


SAVED = {"policy": "policy", "step": 300, "episodes": 9, "seed": 0, "environment": None, "score": 50.0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"rule": "x"', "damaged ("),
        (
            '{"rule": "x", "score": 1.0}',
            "expected an object with policy, step, episodes, seed, environment, score, got",
        ),
        ("[]", "expected an object"),
        (json.dumps(SAVED | {"policy": None}), "damaged: its policy is None"),
        (json.dumps(SAVED | {"score": True}), "damaged: its score is True"),
        (json.dumps(SAVED | {"score": float("nan")}), "damaged: its score is nan"),
        (json.dumps(SAVED | {"environment": 3}), "damaged: its environment is 3"),
    ],
)
def test_a_later_evaluation_that_is_damaged_costs_only_itself(make_run, tmp_path, text, reason):
    path = make_run()
    (path / "evaluations").mkdir()
    SavedScore(**SAVED).write(path)
    bad = path / "evaluations" / "bad.json"
    bad.write_text(text)
    records, left_out = collect([Source(tmp_path)])
    assert [item.path for item in left_out] == [bad]
    assert left_out[0].reason.startswith(reason)
    assert records[None][0].selected["offlow evaluate (policy, last checkpoint, 9 episodes, seed 0)"] == 50


def test_evaluations_in_other_environments_have_files_of_their_own():
    names = {SavedScore(**SAVED | {"environment": where}).name for where in ("m:make", "m_make", "m/make", None)}
    assert len(names) == 4


def test_a_named_folder_without_runs_is_refused(make_run, tmp_path):
    make_run()
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoRunsError, match=r"tuned=.*empty: there is no run directory"):
        collect([Source(tmp_path / "runs"), Source(tmp_path / "empty", "tuned")])


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("status.json", {"started": None}),
        ("status.json", {"started": "yesterday"}),
        ("config.json", {"seed": True}),
        ("status.json", {"scores": {"offline-selected": "x"}}),
        ("status.json", {"scores": {"offline-selected": float("nan")}}),
        ("status.json", {"scores": {"last": 61.0}}),
        ("status.json", {"scores": {"best (online-selected)": 99.0}}),
        ("config.json", {"seed": float("inf")}),
        ("config.json", {"seed": 1.7}),
        ("config.json", {"agent": {"agent_name": 5}}),
        ("manifest.json", {"packages": {"offlow-core": 1.0}}),
    ],
)
def test_values_that_make_no_sense_are_named(make_run, tmp_path, file, change):
    path, good = make_run(seed=1), make_run(seed=2)
    content = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(content | change))
    records, left_out = collect([Source(tmp_path)])
    assert [run.path for run in records[None]] == [good]
    assert [run.path for run in left_out] == [path]


def test_nesting_without_end_is_named(make_run, tmp_path):
    path = make_run()
    (path / "manifest.json").write_text("[" * 100_000)
    assert reasons(tmp_path)[path.name]


def test_links_to_runs_count_and_circles_end(make_run, tmp_path):
    path = make_run()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to(path)
    (tmp_path / "links" / "circle").symlink_to(tmp_path / "links")
    records, _ = collect([Source(tmp_path / "links")])
    assert [run.path.resolve() for run in records[None]] == [path.resolve()]


def test_a_copy_is_called_one(make_run, tmp_path):
    path = make_run()
    shutil.copytree(path, path.with_name("copy"))
    records, _ = collect([Source(tmp_path)])
    _, left_out = without_repetitions(named_methods(records))
    assert len(left_out) == 1
    assert "of which it is a copy" in left_out[0].reason


@pytest.mark.parametrize("text", ["=runs", "ours="])
def test_half_a_name_is_refused(text):
    with pytest.raises(NoRunsError, match="NAME=FOLDER"):
        Source.parse(text)


@pytest.mark.slow
def test_ten_thousand_runs_load_in_seconds(make_run, tmp_path):
    first = make_run()
    for seed in range(1, 10_000):
        copy = first.with_name(f"{seed}-x")
        copy.mkdir()
        for file in first.iterdir():
            if file.is_file():
                os.link(file, copy / file.name)
        (copy / "config.json").unlink()
        config = json.loads((first / "config.json").read_text()) | {"seed": seed}
        (copy / "config.json").write_text(json.dumps(config))
    start = time.perf_counter()
    records, left_out = collect([Source(tmp_path)])
    assert len(records[None]) == 10_000
    assert not left_out
    assert time.perf_counter() - start < 30
