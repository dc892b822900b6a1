"""Ray for real, on loopback."""

import os
import signal
import time
from pathlib import Path

import pytest
from toy_jobs import assert_same_tables, attempt, steps_reached, toy_folder, wait_until

from offlow_core.option_checks import OptionError
from offlow_core.sweeps.attempt import FAILED, FINISHED
from offlow_core.sweeps.engines.engine import Ended, Launch, make_launch
from offlow_core.sweeps.engines.ray import RayTasks, words_of
from offlow_core.sweeps.errors import SweepError


def parent_of(pid: int) -> int:
    """The process that started one, from /proc."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow  # Ray takes 10 to 25 s to start
def test_jobs_are_tasks_and_survive_their_workers(environments, tmp_path):
    expected = toy_folder(tmp_path, name="expected")
    assert attempt(expected, environments) == FINISHED
    killed = toy_folder(tmp_path, "--agent.pause_s=0.2", name="killed")
    fails = toy_folder(tmp_path, "--agent.trouble_at=7", name="fails")
    engine = RayTasks(None, {"num_cpus": 0.5})
    program = environments / "toy" / "bin" / "toy"
    engine.start([make_launch(folder, program, retries=0, threads=1) for folder in (killed, fails)])
    wait_until(lambda: steps_reached(killed) >= 2)
    (words,) = [line for line in killed.log_path.read_text().splitlines() if "attempt 1 on" in line]
    attempt_pid = int(words.partition("(process ")[2].partition(")")[0])
    os.kill(parent_of(attempt_pid), signal.SIGKILL)  # the worker
    ended: dict[str, Ended] = {}
    while engine.is_busy:
        ended |= engine.poll()
        time.sleep(0.1)
    assert ended == {"killed": Ended(FINISHED), "fails": Ended(FAILED)}
    assert killed.log_path.read_text().count(" on ") >= 2
    assert_same_tables(killed, expected)


@pytest.mark.slow
def test_a_task_that_was_cancelled_before_it_began_has_no_exit_status(tmp_path):
    engine = RayTasks(None, {"num_cpus": 4096})  # for which it waits in vain
    engine.start([Launch(toy_folder(tmp_path), ("true",))])
    engine.stop()
    ended: dict[str, Ended] = {}
    while engine.is_busy:
        ended |= engine.poll()
        time.sleep(0.1)
    assert ended == {"one": Ended(None, "its Ray task ended without an exit status: TaskCancelledError")}


def test_what_ray_says_is_one_line():
    exceptions = pytest.importorskip("ray.exceptions")
    assert words_of(exceptions.TaskCancelledError()) == "TaskCancelledError"
    assert words_of(exceptions.OutOfMemoryError("It is full.\nSo be it.")) == "OutOfMemoryError: It is full."
    raised = exceptions.RayTaskError("run_attempt", "Traceback\n  line\nOSError: no\n", OSError("no such folder\n"))
    assert words_of(raised.as_instanceof_cause()) == "OSError: no such folder"


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("offlow_core.extras.find_spec", lambda name: None)
    with pytest.raises(OptionError, match="extra `ray`, which is not installed: uv run --package offlow-core --"):
        RayTasks(None, {})


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(SweepError, match=r"no Ray cluster at 127.0.0.1:1"):
        RayTasks("127.0.0.1:1", {})
