"""Attempts as processes, killed and stopped at the worst of times: nothing is lost, nothing is made twice."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from toy_jobs import (
    assert_same_tables,
    attempt,
    attempt_words,
    program_of,
    steps_reached,
    toy_folder,
    wait_until,
)

from offlow_core.sweeps.attempt import ELSEWHERE, FAILED, FINISHED, INTERRUPTED, UNUSABLE
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.sweeps.next_step import plan
from offlow_core.training.run_directory import RunDirectory

SLOWLY = "--agent.pause_s=0.25"


@pytest.fixture(scope="module")
def uninterrupted(environments, tmp_path_factory) -> JobFolder:
    """A job to which nothing happened."""
    folder = toy_folder(tmp_path_factory.mktemp("uninterrupted"))
    assert attempt(folder, environments) == FINISHED
    return folder


def attempts_of(folder: JobFolder) -> list[str]:
    """The lines of the log with which attempts begin."""
    lines = folder.log_path.read_text().splitlines()
    return [line for line in lines if line.startswith("=== offlow: attempt") and " on " in line]


def scripted(out: Path, script: str, *options: str) -> int:
    """The status of an attempt whose program is a shell script."""
    program = out / "toy" / "bin" / "toy"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return attempt(toy_folder(out), out, *options)


def test_a_job_is_run_to_its_end_and_not_again(uninterrupted, environments):
    status = uninterrupted.status()
    assert (status.state, status.steps, status.total) == ("finished", 12, 12)
    assert status.score[0] == "last"
    log = uninterrupted.log_path.read_text()
    assert "OMP_NUM_THREADS=1" in log
    assert "--eval_workers=0" in log
    assert log.rstrip().endswith("it finished")
    assert attempt(uninterrupted, environments) == FINISHED
    assert uninterrupted.log_path.read_text() == log


def test_a_program_that_was_killed_goes_on(uninterrupted, environments, tmp_path):
    words = ["--agent.trouble=kill", "--agent.trouble_at=7", f"--agent.once={tmp_path / 'once'}"]
    folder = toy_folder(tmp_path, *words)
    assert attempt(folder, environments) == FINISHED
    first, second = attempts_of(folder)
    assert first.endswith(": starts")
    assert second.endswith("goes on from its last checkpoint, its tables reach step 6")
    assert "ended after" in folder.log_path.read_text()
    assert_same_tables(folder, uninterrupted)


def test_retries_are_bounded(environments, tmp_path):
    folder = toy_folder(tmp_path, "--agent.trouble_at=5", "--checkpoint_minutes=9")
    assert attempt(folder, environments, "--retries=1") == FAILED
    # The first one got as far as its checkpoint of step 0, which the second one did not add to.
    assert len(attempts_of(folder)) == 2
    status = folder.status()
    assert (status.state, status.reason) == ("failed", "RuntimeError: the toy broke")
    assert attempt(folder, environments, "--retries=0") == FAILED
    assert len(attempts_of(folder)) == 3


def test_a_program_that_always_is_killed_is_said_to_be(environments, tmp_path):
    folder = toy_folder(tmp_path, "--agent.trouble=kill", "--agent.trouble_at=5")
    assert attempt(folder, environments, "--retries=0") == FAILED
    status = folder.status()
    assert status.state == "failed"
    assert status.reason == "killed by signal 9 (SIGKILL); if memory was short, run fewer jobs at a time"


def test_a_program_that_leaves_no_run_is_known_by_its_exit_status(environments, tmp_path):
    folder = toy_folder(tmp_path, "--agent.sped=1")
    assert attempt(folder, environments, "--retries=0") == FAILED
    assert folder.status().reason.startswith("exit status 2: toy: error: unknown option --agent.sped; did you mean")


def test_a_program_that_ends_well_without_a_run_is_not_tried_again(tmp_path):
    assert scripted(tmp_path, "exit 0", "--retries=2") == FAILED
    folder = toy_folder(tmp_path)
    assert len(attempts_of(folder)) == 1
    assert folder.status().reason == "its program has ended well, but left no run that can be used"


def test_a_request_to_stop_is_passed_on_and_saves(uninterrupted, environments, tmp_path):
    folder = toy_folder(tmp_path, SLOWLY, "--checkpoint_minutes=9")
    process = subprocess.Popen(attempt_words(folder, environments))
    wait_until(lambda: steps_reached(folder) >= 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == INTERRUPTED
    status = folder.status()
    assert (status.state, status.reason) == ("interrupted", "stopped")
    assert attempt(folder, environments) == FINISHED
    assert "reach step" in attempts_of(folder)[1]
    assert_same_tables(folder, uninterrupted)


def test_one_attempt_at_a_time_even_if_it_was_killed(uninterrupted, environments, tmp_path):
    folder = toy_folder(tmp_path, SLOWLY)
    process = subprocess.Popen(attempt_words(folder, environments))
    wait_until(lambda: steps_reached(folder) >= 2)
    assert folder.status().state == "running"
    assert attempt(folder, environments, "--patience_s=0") == ELSEWHERE
    program = program_of(folder)
    process.kill()
    process.wait()
    # The kernel asks the program to stop, too; the job stays locked until it has saved.
    assert attempt(folder, environments, "--patience_s=30") == FINISHED
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)
    assert len(attempts_of(folder)) == 2
    assert_same_tables(folder, uninterrupted)


def test_a_second_signal_insists(environments, tmp_path):
    folder = toy_folder(tmp_path, "--agent.pause_s=30", "--log_interval=1")
    process = subprocess.Popen(attempt_words(folder, environments))
    wait_until(lambda: bool(folder.status().runs))
    program = program_of(folder)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)  # sooner it would be taken for the same request
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)
    assert folder.status().state == "interrupted"


def test_a_damaged_run_is_put_aside(uninterrupted, environments, tmp_path):
    folder = toy_folder(tmp_path)
    assert attempt(folder, environments) == FINISHED
    (run,) = folder.status().runs
    (run / "status.json").write_text('{"state": "runn')
    assert "cannot be read as JSON" in folder.status().reason
    assert attempt(folder, environments) == FINISHED
    assert f": starts (in {folder.path / 'set_aside'} now: {run.name}: status.json cannot be" in attempts_of(folder)[1]
    assert (folder.path / "set_aside" / run.name / "status.json").read_text() == '{"state": "runn'
    assert_same_tables(folder, uninterrupted)


@pytest.fixture
def stopped_at_7(environments, tmp_path) -> JobFolder:
    """A job that failed before its step 7, and would not do so again."""
    folder = toy_folder(tmp_path, "--agent.trouble_at=7", f"--agent.once={tmp_path / 'once'}")
    assert attempt(folder, environments, "--retries=0") == FAILED
    return folder


@pytest.mark.parametrize(
    ("damaged", "text", "reason"),
    [
        ("checkpoints/*", "nothing", "no checkpoint of the run can be read, start it anew: "),
        ("train.csv", "step,loss\nnothing\n", "train.csv, line 2: expected 2 cells, got 1; the file is damaged)"),
        ("train.csv", f"step\n{'9' * 25}\n", "train.csv, column 'step': "),
        ("timing.csv", "step,training_s\n7\n", "timing.csv, line 2: expected 2 cells, got 1; the file is damaged)"),
        ("timing.csv", "st\n7\n", "timing.csv: expected a first column 'step', got 'st'; "),
    ],
)
def test_a_run_that_cannot_be_gone_on_with_starts_again_and_says_why(
    uninterrupted, stopped_at_7, environments, damaged, text, reason
):
    (run,) = stopped_at_7.status().runs
    for file in run.glob(damaged):
        file.write_text(text)
    if damaged != "checkpoints/*":  # which only an attempt looks into
        told = f"starts anew, since there is no going on with {run.name}: {reason.rstrip(')')}"
        assert plan(stopped_at_7).reason.startswith(told)
        assert plan(stopped_at_7).resume is None
    assert attempt(stopped_at_7, environments) == FINISHED
    aside = stopped_at_7.set_aside_path
    assert f": starts (in {aside} now: {run.name}: {reason}" in attempts_of(stopped_at_7)[-1]
    assert (aside / run.name).is_dir()
    assert_same_tables(stopped_at_7, uninterrupted)


def test_rows_of_wall_clock_numbers_do_not_cost_the_training(uninterrupted, stopped_at_7, environments):
    (run,) = stopped_at_7.status().runs
    header, *rows = (run / "timing.csv").read_text().splitlines()
    bad = ["1", "\0\0", f"{'9' * 25}{',' * header.count(',')}", rows[0].replace(rows[0].partition(",")[0], "x", 1)]
    (run / "timing.csv").write_text("\n".join([header, *bad, *rows, "7,0."]))
    assert plan(stopped_at_7).resume == run
    assert attempt(stopped_at_7, environments) == FINISHED
    assert "goes on from its last checkpoint" in attempts_of(stopped_at_7)[-1]
    told = f"(in {stopped_at_7.set_aside_path} now: {run.name}-timing.csv: timing.csv, line 2: expected "
    assert told in attempts_of(stopped_at_7)[-1]
    assert attempts_of(stopped_at_7)[-1].endswith("the file is damaged; the rows that can be read stay in use)")
    assert stopped_at_7.status().runs == (run,)
    assert (stopped_at_7.set_aside_path / f"{run.name}-timing.csv").read_text().endswith("\n7,0.")
    before = [row for row in rows if int(row.partition(",")[0]) <= 6]
    assert (run / "timing.csv").read_text().splitlines()[: 1 + len(before)] == [header, *before]
    assert RunDirectory.open(run).read("timing")["step"][-1] == 12
    assert_same_tables(stopped_at_7, uninterrupted)


def test_seeds_of_one_program_go_on_together_or_start_again(environments, tmp_path):
    words = ["--agent.trouble=kill", "--agent.trouble_at=7"]
    expected = toy_folder(tmp_path / "expected", seeds=(3, 4))
    assert attempt(expected, environments) == FINISHED
    folder = toy_folder(tmp_path, *words, f"--agent.once={tmp_path / 'once'}", seeds=(3, 4))
    assert attempt(folder, environments) == FINISHED
    assert_same_tables(folder, expected)
    first, _ = folder.status().runs
    (first / "status.json").unlink()
    status = folder.status()
    assert (status.state, status.reason) == ("interrupted", "the run of seed 3 is missing")
    assert attempt(folder, environments) == FINISHED
    (aside,) = folder.set_aside_path.iterdir()
    told = f": starts (in {aside.parent} now: {aside.name}: the seeds of its program can only go on together)"
    assert attempts_of(folder)[-1].endswith(told)
    assert_same_tables(folder, expected)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("printf 'loading data ... '; kill -11 $$", "killed by signal 11 (SIGSEGV)"),
        ("printf 'Killed'; exit 3", "exit status 3: Killed"),
    ],
)
def test_what_a_program_says_last_may_lack_its_line_end(tmp_path, script, reason):
    assert scripted(tmp_path, script, "--retries=0") == FAILED
    folder = toy_folder(tmp_path)
    assert (folder.status().state, folder.status().reason) == ("failed", reason)


def test_a_folder_without_a_job_is_named(environments, tmp_path, capfd):
    folder = toy_folder(tmp_path)
    (folder.path / "job.json").write_text("{}")
    assert attempt(folder, environments) == UNUSABLE
    assert f"{folder.path / 'job.json'} is no job: expected a job, which is arguments" in capfd.readouterr().err
