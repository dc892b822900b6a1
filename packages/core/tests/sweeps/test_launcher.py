"""How a job is when its attempt has ended, by its exit status and by what lies in its folder."""

import pytest
from toy_jobs import toy_folder

from offlow_core.sweeps.engines.engine import Launch
from offlow_core.sweeps.engines.local import LocalPool, Room
from offlow_core.sweeps.job_log import exit_words
from offlow_core.sweeps.launcher import read_statuses, run_launches


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo step 1; kill -9 $$",
            "its attempt was killed by signal 9 (SIGKILL); if memory was short, run fewer jobs at a time",
        ),
        ("echo step 1; kill -11 $$", "its attempt was killed by signal 11 (SIGSEGV)"),
        ("echo no such folder; exit 2", "exit status 2: no such folder"),
        ("exit 7", "exit status 7: it printed nothing"),
    ],
)
def test_how_an_attempt_ended(tmp_path, script, reason):
    folder = toy_folder(tmp_path)
    statuses = read_statuses([folder])
    pool = LocalPool(Room(1, 2.0, available_gb=lambda: None), retries=0)
    assert not run_launches(pool, [Launch(folder, ("/bin/sh", "-c", script))], [folder], statuses)
    assert (statuses["one"].state, statuses["one"].reason) == ("failed", reason)


def test_a_signal_without_a_name_has_its_number():
    assert exit_words(-40) == "killed by signal 40"
