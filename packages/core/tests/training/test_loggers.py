"""Loggers: tables always, Weights & Biases when asked."""

import json
import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from offlow_core.training.loggers import CsvLogger, LoggerGroup, make_logger
from offlow_core.training.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path):
    with RunDirectory.create(tmp_path / "runs", "cube-v0", "fac", 3, {"lr": 0.5}, {}) as run:
        yield run


def test_tables_are_always_written(run):
    logger = make_logger(run)
    logger.log("train", 1, {"loss": 0.5})
    logger.log("eval", 1, {"success": 1.0})
    logger.log("timing", 1, {"s": 2.0})
    logger.log_episodes(1, [{"episode": 0}, {"episode": 1}])
    logger.close()
    rows = {kind: len(run.read(kind)["step"]) for kind in ("train", "eval", "timing", "episodes")}
    assert rows == {"train": 1, "eval": 1, "timing": 1, "episodes": 2}


def test_a_group_passes_everything_to_every_logger(run):
    logger = LoggerGroup([CsvLogger(run), CsvLogger(run)])
    logger.log("train", 1, {"loss": 0.5})
    logger.log_episodes(1, [{"episode": 0}])
    assert len(run.read("train")["step"]) == len(run.read("episodes")["step"]) == 2


def test_wandb_is_not_imported_unless_asked():
    code = """
import sys, tempfile
from offlow_core.training.loggers import make_logger
from offlow_core.training.run_directory import RunDirectory
logger = make_logger(RunDirectory.create(tempfile.mkdtemp(), "t", "a", 0, {}, {}), wandb="disabled")
logger.log("train", 1, {"loss": 1})
logger.close()
assert "wandb" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_without_wandb_the_extra_is_named(run, monkeypatch, mode):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"add the extra `wandb` .*or leave --wandb disabled"):
        make_logger(run, wandb=mode)


class FakeWandb:
    """Records what the adapter asks of the wandb module."""

    Settings = dict

    def __init__(self):
        self.starts, self.calls = [], []

    def init(self, **options):
        self.starts.append(options)
        return self

    def define_metric(self, *names, **options):
        self.calls.append(("define_metric", names, options))

    def log(self, row):
        self.calls.append(("log", row))

    def finish(self, exit_code):
        self.calls.append(("finish", exit_code))


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    return fake


def test_wandb_gets_names_folder_and_prefixed_metrics(run, wandb):
    logger = make_logger(run, wandb="online", project="papers")
    logger.log("train", 5, {"critic/loss": np.float32(0.5), "skipped": None})
    logger.log("eval", 5, {"success": 1.0})
    logger.log_episodes(5, [{"episode": 0}])
    logger.close(failed=True)
    start = wandb.starts[0]
    assert (start["project"], start["group"], start["name"]) == ("papers", "cube-v0/fac", run.path.name)
    assert (start["mode"], start["dir"], start["config"]) == ("online", run.path.resolve(), {"lr": 0.5})
    assert wandb.calls == [
        ("define_metric", ("*",), {"step_metric": "step"}),
        ("log", {"step": 5, "train/critic/loss": 0.5}),
        ("log", {"step": 5, "eval/success": 1.0}),
        ("finish", 1),
    ]


def test_a_resumed_run_stays_the_same_wandb_run(run, wandb, tmp_path):
    make_logger(run, wandb="online", group="g", name="n").close()
    make_logger(run, wandb="online", group="g", name="n").close()
    with RunDirectory.create(tmp_path / "runs", "cube-v0", "fac", 3, {}, {}) as other:
        make_logger(other, wandb="online").close()
    first, second, third = wandb.starts
    assert first["id"] == second["id"] != third["id"]
    assert second["resume"] == "allow"
    assert (second["group"], second["name"]) == ("g", "n")


OFFLINE = """
import sys
attempts = []
def watch(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and not isinstance(arguments[1], (str, bytes))):
        attempts.append((event, arguments[1:]))
sys.addaudithook(watch)
from pathlib import Path
from offlow_core.training.loggers import make_logger
from offlow_core.training.run_directory import RunDirectory
run = RunDirectory.create(sys.argv[1], "cube-v0", "fac", 3, {"lr": 0.5}, {})
logger = make_logger(run, wandb="offline", project="papers")
for step in (10, 20):
    logger.log("train", step, {"critic/loss": 1 / step})
    logger.log("eval", step, {"success": 0.5, "unknown": float("nan")})
logger.close()
second = make_logger(run, wandb="offline", project="papers")
second.log("train", 15, {"critic/loss": 0.1})
second.close()
assert not attempts, attempts
print(run.path)
"""


class Listener:
    """Stands where every proxy and the wandb server are said to be, and counts who comes."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.visits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.server.shutdown(socket.SHUT_RDWR)
    listener.server.close()


def test_offline_wandb_writes_into_the_run_and_touches_no_network(tmp_path, listener):
    pytest.importorskip("wandb")
    addresses = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WANDB_BASE_URL"), listener.address)
    lowered = {name.lower(): address for name, address in addresses.items() if name.endswith("PROXY")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = kept | addresses | lowered | {"HOME": str(tmp_path), "NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run(
        # wandb itself may warn of what it uses; our own warnings stay errors.
        [sys.executable, "-W", "error", "-W", "default::DeprecationWarning", "-c", OFFLINE, str(tmp_path / "runs")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert listener.visits == 0
    run = RunDirectory.open(done.stdout.strip())
    records = list(run.path.glob("wandb/offline-run-*/*.wandb"))
    assert len({path.name for path in records}) == 1  # both sessions carry the identity of the run
    content = b"".join(path.read_bytes() for path in records)
    for expected in (b"train/critic/loss", b"eval/success", b"papers", b"cube-v0/fac", run.path.name.encode()):
        assert expected in content
    assert "login" not in done.stderr.lower()
    assert len(run.read("train")["step"]) == 3
    assert json.loads((run.path / "config.json").read_text()) == {"lr": 0.5}
