"""Downloads from a server on this machine."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from offlow_core.command import main
from offlow_core.suites import ogbench_dataset

NAME = "cube-single-play-singletask-v0"


@pytest.fixture
def server(cube, monkeypatch):
    """Serves the folder `cube`; gives the list of the requested paths."""
    requested = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=cube)

        def do_GET(self):
            requested.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    host = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=host.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(ogbench_dataset, "DATASET_ADDRESS", f"http://127.0.0.1:{host.server_address[1]}")
    yield requested
    host.shutdown()
    host.server_close()
    thread.join()


def test_a_dataset_is_fetched_once_for_all_its_tasks(offlow, server, cube, home):
    text = offlow("download", NAME, "cube-single-play-singletask-task4-v0", "cube-single-play-singletask-*")
    cache = home / ".ogbench" / "data"
    assert sorted(path.name for path in cache.iterdir()) == sorted(path.name for path in cube.iterdir())
    assert len(server) == 2
    stored = sum(path.stat().st_size for path in cube.iterdir()) / 1000
    assert text.splitlines() == [
        f"[1/1] {NAME}: fetched ({stored:.1f} kB in {cache})",
        f"1 dataset: 1 fetched ({stored:.1f} kB)",
    ]


def test_what_is_there_is_skipped(offlow, server, cube):
    text = offlow("download", NAME, "--dataset_dir", cube)
    assert server == []
    assert f"[1/1] {NAME}: already there" in text


def test_failures_are_named_and_do_not_stop_the_others(failure, server, cube, home):
    (cube / "cube-single-noisy-v0.npz").write_bytes(b"<html>no</html>")
    output, message = failure("download", "cube-single-noisy-singletask-v0", NAME)
    assert (home / ".ogbench" / "data" / "cube-single-play-v0.npz").exists()
    assert "[1/2] cube-single-noisy-singletask-v0: failed\n" in output
    assert "2 datasets: 1 fetched (" in output
    assert output.endswith("), 1 failed\n")
    assert message.startswith("offlow data download: 1 dataset could not be had:\n\ncube-single-noisy-singletask-v0: ")
    assert "damaged" in message
    assert not (home / ".ogbench" / "data" / "cube-single-noisy-v0.npz").exists()


def test_what_the_server_does_not_have(failure, server):
    _, message = failure("download", "cube-double-play-singletask-v0")
    assert "the server answers 404" in message
    assert "Or make a dataset by the same protocol on this machine: offlow data collect cube-double-play-v0" in message


def test_a_slip_of_the_pen_shows_before_anything_is_fetched(failure, server):
    _, message = failure("download", NAME, "cube-singel-play-singletask-v0")
    assert "the nearest names are: cube-single-play-singletask-v0" in message
    assert server == []


def test_a_full_disk(failure, server, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("offlow_core.data.download.shutil.disk_usage", lambda path: usage)
    output, message = failure("download", NAME)
    assert "[1/1] cube-single-play-singletask-v0: failed" in output
    assert "the disk is full" in message


def test_a_whole_suite_offline(failure, monkeypatch):
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    output, message = failure("download", "d4rl")
    assert "51 datasets: 51 failed" in output
    assert message.startswith("offlow data download: 51 datasets could not be had:")


def test_control_c_says_how_to_go_on(server, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ogbench_dataset, "download", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["data", "download", NAME])
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "stopped; what was received is kept, the same command continues\n"


def test_own_data_cannot_be_downloaded(failure):
    output, message = failure("download", "own/mine")
    assert "[1/1] own/mine: failed" in output
    assert "there is nothing to download for this task; give own data with --dataset_path" in message


def test_without_a_name_there_is_nothing_to_do(failure):
    _, message = failure("download")
    assert "name a task, a suite or a pattern" in message
