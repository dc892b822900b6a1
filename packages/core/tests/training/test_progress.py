"""Progress on terminals and in log files."""

import io

from offlow_core.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_a_log_file_gets_a_line_per_interval_with_rate_and_time_left():
    file, clock = io.StringIO(), Clock()
    progress = Progress(10_000, phase="behaviour cloning", file=file, interval_s=30, clock=clock)
    for step, now_s in ((1000, 110), (2000, 120), (3000, 130), (4000, 145), (10_000, 150)):
        clock.now_s = now_s
        if step == 4000:
            progress.set_score({"success": 42.0})
        progress.update(step)
    progress.close()
    assert file.getvalue().splitlines() == [
        "behaviour cloning: 1,000/10,000 steps (10%), 100 steps/s, ETA 01:30",
        "behaviour cloning: 4,000/10,000 steps (40%), 86 steps/s, ETA 01:07, success 42",
        "behaviour cloning: 10,000/10,000 steps (100%), 1,200 steps/s, ETA 00:00, success 42",
    ]


def test_a_resumed_run_counts_only_its_own_updates():
    file, clock = io.StringIO(), Clock()
    with Progress(1000, initial=900, phase="critic", file=file, clock=clock) as progress:
        clock.now_s += 5
        progress.update(950)
    assert file.getvalue() == "critic: 950/1,000 steps (95%), 10 steps/s, ETA 00:05\n"


def test_a_new_phase_has_its_own_mean_rate():
    file, clock = io.StringIO(), Clock()
    progress = Progress(2000, phase="fast", file=file, interval_s=1, clock=clock)
    clock.now_s += 1
    progress.update(1000)
    progress.set_phase("slow")
    clock.now_s += 10
    progress.update(1100)
    assert file.getvalue().splitlines()[-1] == "slow: 1,100/2,000 steps (55%), 10 steps/s, ETA 01:30"


def test_time_for_something_else_is_left_out():
    file, clock = io.StringIO(), Clock()
    progress = Progress(1000, phase="critic", file=file, interval_s=1, clock=clock)
    clock.now_s += 60
    progress.leave_out(50)
    progress.update(100)
    assert file.getvalue() == "critic: 100/1,000 steps (10%), 10 steps/s, ETA 01:30\n"


def test_closing_prints_the_last_state_once():
    file, clock = io.StringIO(), Clock()
    with Progress(100, file=file, interval_s=30, clock=clock) as progress:
        for step in (10, 20):
            clock.now_s += 1
            progress.update(step)
        progress.write("a message")
    assert file.getvalue().splitlines() == [
        "training: 10/100 steps (10%), 10 steps/s, ETA 00:09",
        "a message",
        "training: 20/100 steps (20%), 10 steps/s, ETA 00:08",
    ]


def test_nothing_happened_nothing_is_printed():
    file = io.StringIO()
    progress = Progress(100, file=file)
    progress.close()
    assert not progress.is_bar
    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar():
    file = Terminal()
    with Progress(2000, initial=500, phase="critic", file=file) as progress:
        assert progress.is_bar
        progress.update(1000)
        progress.set_score({"success": 41.96})
        progress.set_phase("online")
        progress.write("saved a checkpoint")
        progress.update(2000)
    last = file.getvalue().split("\r")[-1]
    assert last.startswith("online 100%|")
    assert "2000/2000" in last
    assert "steps/s" in last
    assert "success 41.96" in last
    assert "saved a checkpoint\n" in file.getvalue()
