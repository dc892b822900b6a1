"""Stop requests by signals."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from offlow_core.training import stopping
from offlow_core.training.stopping import StoppedError, StopRequest, leave_if_stopped


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_first_signal_only_sets_the_flag(name, capfd):
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.requested
        assert stop.reason == name
    assert stop.requested
    assert f"{name}: saving and stopping" in capfd.readouterr().err


def test_the_second_signal_raises(monkeypatch, capfd):
    monkeypatch.setattr(stopping, "SAME_REQUEST_S", 0.0)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt, match="SIGINT after SIGTERM"):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "SIGTERM"
    assert "second signal" in capfd.readouterr().err


def test_a_signal_delivered_twice_at_once_counts_once(monkeypatch, capfd):
    monkeypatch.setattr(stopping, "SAME_REQUEST_S", 60.0)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert capfd.readouterr().err.count("saving and stopping") == 1


def test_handlers_are_restored_also_after_an_error():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def fail_inside():
        with StopRequest():
            assert signal.getsignal(signal.SIGTERM) != before[1]
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_thread_can_use_it_by_request():
    reasons = []

    def work():
        with StopRequest() as stop:
            stop.request("non-finite loss")
            reasons.append(stop.reason)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reasons == ["non-finite loss"]


def test_a_process_leaves_its_loop_in_order():
    code = """
import time
from offlow_core.training.stopping import StoppedError, StopRequest, leave_if_stopped
with StopRequest() as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
print("saved")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=-1) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert out == "saved\n"
    assert process.returncode == 0


def test_long_work_can_leave_at_a_stop_and_only_then():
    leave_if_stopped()
    with StopRequest() as stop:
        leave_if_stopped()
        stop.request("SIGTERM")
        with pytest.raises(StoppedError, match="stopped by SIGTERM"):
            leave_if_stopped()
    leave_if_stopped()
