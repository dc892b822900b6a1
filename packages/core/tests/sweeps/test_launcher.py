"""How a job is when its attempt has ended, by its exit status and by what lies in its folder."""

from collections.abc import Sequence

import pytest
from toy_jobs import toy_folder

from offlow_core.sweeps.engines.engine import Ended, Launch
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


class Cancelling:
    """An engine that never comes to start anything."""

    stops = "nothing runs"
    is_busy = False

    def start(self, launches: Sequence[Launch]) -> None:
        self._names, self.is_busy = [launch.name for launch in launches], True

    def poll(self) -> dict[str, Ended]:
        self.is_busy = False
        return {name: Ended(None, "somebody cancelled it") for name in self._names}

    def stop(self) -> None: ...

    def kill(self) -> None: ...


def test_an_attempt_that_never_was_has_no_exit_status(tmp_path):
    folder = toy_folder(tmp_path)
    statuses = read_statuses([folder])
    assert not run_launches(Cancelling(), [Launch(folder, ("true",))], [folder], statuses)
    assert (statuses["one"].state, statuses["one"].reason) == ("failed", "somebody cancelled it")


def test_a_signal_without_a_name_has_its_number():
    assert exit_words(-40) == "killed by signal 40"
