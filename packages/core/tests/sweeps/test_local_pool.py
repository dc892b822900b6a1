"""The pool of this machine, with processes that are jobs only by name."""

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_jobs import toy_folder

from offlow_core.sweeps.engines.engine import Ended, Launch
from offlow_core.sweeps.engines.local import RESTING_S, SETTLING_S, LocalPool, Room
from offlow_core.sweeps.engines.memory import available_gb


def launch(out: Path, name: str, script: str) -> Launch:
    """A launch that runs a shell script."""
    return Launch(toy_folder(out, name=name), ("/bin/sh", "-c", script))


def run_all(pool: LocalPool) -> dict[str, int | None]:
    """Exit statuses by job."""
    ended: dict[str, Ended] = {}
    while pool.is_busy:
        ended |= pool.poll()
        time.sleep(0.02)
    return {name: how.code for name, how in ended.items()}


def room(free_gb: float | None = None, workers: int = 4, **options) -> Room:
    """A machine with that much memory, for jobs of 2 GB."""
    return Room(workers, 2.0, available_gb=lambda: free_gb, **options)


@pytest.mark.parametrize(
    ("free_gb", "running", "settling", "admitted"),
    [
        (0.1, 0, 0, True),  # at least one
        (1.9, 1, 0, False),
        (2.0, 1, 0, True),
        (3.9, 1, 1, False),  # which is about to take 2 of them
        (4.0, 1, 1, True),
        (None, 3, 3, True),  # the system does not tell
        (99, 4, 0, False),
    ],
)
def test_admission(free_gb, running, settling, admitted):
    assert room(free_gb).admits(running, settling) is admitted


def test_no_more_at_a_time_than_memory_bears(tmp_path):
    record = tmp_path / "record"
    script = f"echo begin >> {record}; sleep 0.2; echo end >> {record}"
    now_s = [0.0]
    pool = LocalPool(room(3.0), retries=0, clock=lambda: now_s[0])
    pool.start([launch(tmp_path, str(i), script) for i in range(2)])
    assert run_all(pool) == {"0": 0, "1": 0}
    assert record.read_text().split() == ["begin", "end", "begin", "end"]
    pool.start([launch(tmp_path, str(i), script) for i in range(2)])
    pool.poll()
    now_s[0] += SETTLING_S  # the first one has now what it needs, and 3 GB are still there
    assert run_all(pool) == {"0": 0, "1": 0}
    assert record.read_text().split()[4:] == ["begin", "begin", "end", "end"]


def test_gpus_in_turns(tmp_path):
    script = "echo $CUDA_VISIBLE_DEVICES $XLA_PYTHON_CLIENT_PREALLOCATE; sleep 0.3"
    pool = LocalPool(room(gpus=("3", "5"), jobs_per_gpu=2), retries=0)
    launches = [launch(tmp_path, str(i), script) for i in range(4)]
    pool.start(launches)
    run_all(pool)
    assert [one.folder.log_path.read_text().split() for one in launches] == [[gpu, "false"] for gpu in "3535"]


def test_the_default_number_of_workers(monkeypatch):
    monkeypatch.setattr("offlow_core.sweeps.engines.local.cores", lambda: 8)
    assert Room.of(None, 1, 2.0, [], 1).workers == 8
    assert Room.of(None, 3, 2.0, [], 1).workers == 2
    assert Room.of(None, 16, 2.0, [], 1).workers == 1
    assert Room.of(None, 1, 2.0, ["0", "1"], 3).workers == 6
    assert Room.of(5, 1, 2.0, ["0", "1"], 3).workers == 5


def test_an_attempt_that_was_killed_is_queued_again_so_many_times(tmp_path):
    record = tmp_path / "record"
    pool = LocalPool(room(), retries=2)
    pool.start([launch(tmp_path, "killed", f"echo run >> {record}; kill -9 $$"), launch(tmp_path, "fails", "exit 1")])
    assert run_all(pool) == {"killed": -9, "fails": 1}
    assert record.read_text().split() == ["run"] * 3


def test_a_job_that_cannot_be_started_does_not_stop_the_others(tmp_path):
    pool, launches = LocalPool(room(), retries=2), [launch(tmp_path, name, "exit 0") for name in ("one", "two")]
    launches[0].folder.log_path.mkdir()
    pool.start(launches)
    ((name, ended),) = pool.poll().items()
    assert (name, ended.code) == ("one", None)
    assert ended.reason.startswith("it cannot be started: [Errno 21] Is a directory: ")
    assert run_all(pool) == {"two": 0}


class ShortMachine:
    """`subprocess.Popen` of a machine that for some time has no room for another process."""

    def __init__(self, failures: float):
        self.failures, self.calls = failures, 0
        self._popen = subprocess.Popen

    def __call__(self, *words, **options):
        self.calls += 1
        if self.calls <= self.failures:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return self._popen(*words, **options)


def test_a_shortage_that_passes_costs_no_job(tmp_path, monkeypatch):
    machine, now_s = ShortMachine(failures=2), [0.0]
    monkeypatch.setattr(subprocess, "Popen", machine)
    pool = LocalPool(room(), retries=1, clock=lambda: now_s[0])
    pool.start([launch(tmp_path, name, "exit 0") for name in ("one", "two", "three")])
    for calls in (1, 2):
        assert [pool.poll(), pool.poll()] == [{}, {}]
        assert machine.calls == calls  # one try in all, and then a rest
        now_s[0] += RESTING_S
    assert run_all(pool) == {"one": 0, "two": 0, "three": 0}


def test_a_shortage_that_stays_is_told(tmp_path, monkeypatch):
    machine, now_s = ShortMachine(failures=float("inf")), [0.0]
    monkeypatch.setattr(subprocess, "Popen", machine)
    pool = LocalPool(room(), retries=1, clock=lambda: now_s[0])
    pool.start([launch(tmp_path, name, "exit 0") for name in ("one", "two")])
    ended: dict[str, Ended] = {}
    while pool.is_busy:
        ended |= pool.poll()
        now_s[0] += RESTING_S
    short = Ended(None, f"it cannot be started: [Errno {errno.EAGAIN}] Resource temporarily unavailable")
    assert (ended, machine.calls) == ({"one": short, "two": short}, 4)


def test_stopping_asks_and_killing_insists(tmp_path, monkeypatch):
    monkeypatch.setattr("offlow_core.sweeps.engines.local.INSISTING_S", 0.5)
    pool = LocalPool(room(workers=2), retries=2)
    deaf = "import signal, time; signal.signal(15, lambda *_: None); print(1, flush=True); time.sleep(60)"
    slow = f"{sys.executable} -c '{deaf}'"
    launches = [
        launch(tmp_path, name, "exec sleep 60" if name == "asked" else f"exec {slow}") for name in ("asked", "deaf")
    ]
    pool.start([*launches, launch(tmp_path, "waiting", "true")])
    pool.poll()
    while "1" not in launches[1].folder.log_path.read_text():
        time.sleep(0.02)
    pool.stop()
    time.sleep(0.3)
    assert pool.poll() == {"asked": Ended(-15)}
    assert pool.is_busy
    pool.kill()
    assert not pool.is_busy


def test_memory_is_read_with_a_containers_limit(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9999 kB\nMemAvailable:    8388608 kB\n")
    assert available_gb(meminfo, tmp_path) == 8.0
    gb = 1 << 30
    for name, text in (
        ("memory.max", 4 * gb),
        ("memory.current", 3 * gb),
        ("memory.stat", f"anon 5\ninactive_file {gb}"),
    ):
        (tmp_path / name).write_text(str(text))
    assert available_gb(meminfo, tmp_path) == 2.0
    (tmp_path / "memory.max").write_text("max\n")
    assert available_gb(meminfo, tmp_path) == 8.0
    assert available_gb(tmp_path / "nothing") is None
