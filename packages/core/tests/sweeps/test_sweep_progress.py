"""What is shown while a sweep runs."""

from io import StringIO

from toy_jobs import toy_folder

from offlow_core.sweeps.job_folder import JobStatus
from offlow_core.sweeps.sweep_progress import LINE_INTERVAL_S, SweepProgress
from offlow_core.training.run_directory import RunDirectory

CONFIG = {"env_name": "corridor", "agent": {"agent_name": "toy"}}
MANIFEST = {
    "total_steps": 9,
    "semantics": {"suite": "toy"},
    "dataset": {"sha256": "0"},
    "packages": {},
    "git": None,
    "device": "cpu",
    "platform": "Linux",
    "python": "3.11",
}
"""What a finished run that was evaluated has to tell."""


class Terminal(StringIO):
    """Somebody is watching."""

    def isatty(self) -> bool:
        return True


def test_changes_are_lines_and_steps_are_summed(tmp_path):
    folders = [toy_folder(tmp_path, name=name) for name in ("one", "two")]
    statuses = {"one": folders[0].status(), "two": JobStatus("finished", "", 12, 12)}
    file, now_s = StringIO(), [0.0]
    with SweepProgress(folders, statuses, file, clock=lambda: now_s[0]) as progress:
        with RunDirectory.create(folders[0].runs_path, "t", "toy", 0, {"seed": 0}, {"total_steps": 12}) as run:
            run.log_train(3, {"loss": 1.0})
            progress.refresh()
            assert file.getvalue() == "one: running\n"
            now_s[0] += LINE_INTERVAL_S
            progress.refresh()
            assert file.getvalue().splitlines()[1:] == ["15 of 24 steps, 1 finished, 1 running, 2 in all"]
            run.set_status("failed", error=ValueError("no"))
        # That it failed is known when the engine says so: it may be tried again.
        progress.refresh()
        assert statuses["one"].state == "running"
        progress.ended("one", "failed", "ValueError: no")
    assert file.getvalue().splitlines()[2:] == ["one: failed: ValueError: no"]


def test_a_terminal_gets_a_bar(tmp_path):
    folder = toy_folder(tmp_path)
    file = Terminal()
    config = {"seed": 0, "offline_steps": 40}  # of a run whose manifest does not tell how long it is
    with (
        SweepProgress([folder], {"one": folder.status()}, file) as progress,
        RunDirectory.create(folder.runs_path, "t", "toy", 0, config, {}) as run,
    ):
        run.log_eval(10, {"score": 1.0})
        progress.refresh()
    assert "10.0/40.0" in file.getvalue()
    assert "1 running, 1 in all" in file.getvalue()


def test_how_far_a_job_is_by_its_files(tmp_path):
    folder = toy_folder(tmp_path, seeds=(0, 1))
    assert folder.status() == JobStatus("not started", "starts")
    for seed in (0, 1):
        with RunDirectory.create(folder.runs_path, "t", "toy", seed, {**CONFIG, "seed": seed}, MANIFEST) as run:
            run.log_train(9, {"loss": 1.0})
            run.log_eval(9, {"score": 10.0 * seed})
            assert folder.status().state == "running"
            run.set_status("finished", scores={"last": 10.0 * seed, "selected": 20.0})
    status = folder.status()
    assert (status.state, status.steps, status.total, status.score) == ("finished", 18, 18, ("last", 5.0))
    (run.path / "config.json").write_text("[]")
    status = folder.status()
    assert status.state == "interrupted"
    assert status.reason.startswith("the run of seed 1 is missing")
    assert str(run.path) in status.reason
    assert "damaged" in status.reason
