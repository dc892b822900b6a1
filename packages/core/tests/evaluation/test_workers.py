"""Evaluations in worker processes: the same records, and clear ends when something goes wrong."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import toy_environments as toys

from offlow_core.evaluation import EvaluationError, Evaluator, episode_seed, pool

FOLDER = Path(__file__).parent


def push(observations, noise_seeds):
    return np.ones((len(noise_seeds), 1))


def noisy(observations, noise_seeds, horizon=1):
    draws = [np.random.default_rng(row).normal(size=(horizon, 1)) for row in noise_seeds]
    return np.stack(draws) + observations[:, None, 1:2]


def worker_pids():
    return sorted(process.pid for process in multiprocessing.active_children())


@pytest.fixture(autouse=True)
def _no_worker_survives():
    yield
    assert worker_pids() == []


@pytest.fixture(scope="module")
def _serial():
    with Evaluator(toys.Weather, num_envs=1, num_workers=0) as evaluator:
        return evaluator.evaluate(noisy, episodes=11, seed=4)


@pytest.mark.parametrize(("num_envs", "num_workers"), [(1, 1), (5, 2), (16, 3)])
def test_workers_give_the_records_of_a_serial_evaluation(num_envs, num_workers, request):
    with Evaluator(toys.Weather, num_envs=num_envs, num_workers=num_workers) as evaluator:
        assert evaluator.evaluate(noisy, episodes=11, seed=4) == request.getfixturevalue("_serial")


def test_a_gymnasium_environment_gives_the_same_chunked_episodes_in_workers():
    make = functools.partial(gymnasium.make, "Pendulum-v1", max_episode_steps=30)
    policy = functools.partial(noisy, horizon=4)
    found = []
    for num_envs, num_workers in [(3, 0), (4, 2)]:
        with Evaluator(make, num_envs=num_envs, num_workers=num_workers) as evaluator:
            records = evaluator.evaluate(policy, episodes=5, seed=2)
            found.append([(record.seed, record.return_, record.length) for record in records])
    assert found[0] == found[1]


def test_workers_are_reused_and_hold_several_environments_each():
    with Evaluator(toys.Walk, num_envs=6, num_workers=2) as evaluator:
        first = evaluator.evaluate(push, episodes=6, seed=0)
        pids = worker_pids()
        second = evaluator.evaluate(push, episodes=6, seed=1)
        assert worker_pids() == pids
    used = [sorted({int(record.info["pid"]) for record in records}) for records in (first, second)]
    assert used == [pids, pids]


def test_there_are_never_more_workers_than_environments():
    with Evaluator(toys.Walk, num_envs=2, num_workers=8) as evaluator:
        evaluator.evaluate(push, episodes=1, seed=0)
        assert len(worker_pids()) == 2


def test_workers_import_neither_jax_nor_torch():
    with Evaluator(toys.Witness, num_envs=1, num_workers=1) as evaluator:
        (record,) = evaluator.evaluate(push, episodes=1, seed=0)
    assert record.info["heavy"] == 0


def test_closing_is_safe_at_any_time():
    evaluator = Evaluator(toys.Walk, num_envs=1, num_workers=1)
    evaluator.close()
    evaluator.evaluate(push, episodes=1, seed=0)
    evaluator.close()
    evaluator.close()
    assert evaluator.evaluate(push, episodes=1, seed=0)[0].success == 1.0  # it starts anew
    evaluator.close()


def test_an_environment_that_does_not_close_is_killed(monkeypatch):
    monkeypatch.setattr(pool, "STOP_GRACE_S", 0.2)
    with Evaluator(toys.Stubborn, num_envs=1, num_workers=1) as evaluator:
        evaluator.evaluate(push, episodes=1, seed=0)
        began = time.monotonic()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_environment_that_raises_names_the_episode_and_the_cause(num_workers):
    seed = episode_seed(0, 2)
    make = functools.partial(toys.Broken, seed, "raise")
    with Evaluator(make, num_envs=2, num_workers=num_workers) as evaluator:
        with pytest.raises(EvaluationError) as caught:
            evaluator.evaluate(push, episodes=4, seed=0)
        assert worker_pids() == []
        message = str(caught.value)
        assert message.startswith(f"episode 2 (seed {seed}): after 1 steps:\nTraceback")
        assert "toy_environments.py" in message
        assert message.rstrip().endswith("ValueError: a bolt came loose")
        assert len(evaluator.evaluate(push, episodes=2, seed=0)) == 2  # the next evaluation starts afresh


def test_a_worker_that_dies_names_its_episodes():
    seeds = [episode_seed(0, i) for i in range(4)]
    with Evaluator(functools.partial(toys.Broken, seeds[2], "kill"), num_envs=4, num_workers=2) as evaluator:
        expected = rf"episode 0 \(seed {seeds[0]}\), episode 2 \(seed {seeds[2]}\): the worker process \d+ died.* -9"
        with pytest.raises(EvaluationError, match=expected):
            evaluator.evaluate(push, episodes=4, seed=0)


def test_a_worker_that_is_killed_between_two_steps_is_noticed():
    def policy(observations, noise_seeds):
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
        return push(observations, noise_seeds)

    message = r"episode 0 \(seed \d+\): the worker process \d+ died.* -9"
    with Evaluator(toys.Walk, num_envs=1, num_workers=1) as evaluator, pytest.raises(EvaluationError, match=message):
        evaluator.evaluate(policy, episodes=1, seed=0)


def test_a_policy_that_raises_leaves_no_workers():
    def policy(*_):
        raise ZeroDivisionError

    with Evaluator(toys.Walk, num_envs=1, num_workers=1) as evaluator:
        with pytest.raises(ZeroDivisionError):
            evaluator.evaluate(policy, episodes=1, seed=0)
        assert worker_pids() == []


def test_a_factory_that_fails_is_reported():
    with Evaluator(toys.refuse, num_envs=1, num_workers=1) as evaluator:
        message = r"(?s)episode 0 .* while its environment was built:\nTraceback.*robot.xml is missing"
        with pytest.raises(EvaluationError, match=message):
            evaluator.evaluate(push, episodes=1, seed=0)


def test_a_factory_that_cannot_be_pickled_is_refused():
    evaluator = Evaluator(lambda: toys.Walk(), num_envs=1, num_workers=1)
    with pytest.raises(EvaluationError, match=r"cannot be sent to worker processes .*num_workers=0"):
        evaluator.evaluate(push, episodes=1, seed=0)


PROGRAM = """
    import signal, sys, time
    sys.path.append({folder!r})
    print("imported as", __name__, flush=True)
    import multiprocessing
    import numpy as np
    import toy_environments as toys
    from offlow_core.evaluation import Evaluator

    class Local(toys.Walk):
        pass

    def policy(observations, noise_seeds):
        print("workers", *[process.pid for process in multiprocessing.active_children()], flush=True)
        time.sleep({pause})
        return np.ones((len(noise_seeds), 1))

    if __name__ == "__main__":
        signal.signal(signal.SIGTERM, {on_terminate})
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
        with Evaluator({factory}, num_envs=2, num_workers=2) as evaluator:
            print("success", evaluator.evaluate(policy, episodes=2, seed=0)[0].success)
"""


def start(folder, factory, pause, on_terminate="signal.SIG_DFL"):
    script = folder / "program.py"
    options = {"folder": str(FOLDER), "factory": factory, "pause": pause, "on_terminate": on_terminate}
    script.write_text(textwrap.dedent(PROGRAM).format(**options))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, script], start_new_session=True, **pipes)


@pytest.mark.parametrize(("factory", "imports"), [("toys.Walk", 1), ("Local", 3)])
def test_workers_import_the_main_script_only_if_the_environment_is_defined_there(tmp_path, factory, imports):
    output, errors = start(tmp_path, factory, pause=0).communicate(timeout=60)
    assert "success 1.0" in output, errors
    assert output.count("imported as") == imports


def test_a_program_may_finish_its_evaluation_after_a_signal_to_its_process_group(tmp_path):
    with start(tmp_path, "toys.Walk", pause=0.5, on_terminate="lambda *_: None") as program:
        while not program.stdout.readline().startswith("workers"):
            pass
        os.killpg(program.pid, signal.SIGTERM)
        output, errors = program.communicate(timeout=60)
    assert "success 1.0" in output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_interrupted_leaves_no_worker(tmp_path, number):
    with start(tmp_path, "toys.Walk", pause=30) as program:
        assert program.stdout.readline().startswith("imported")
        pids = [int(word) for word in program.stdout.readline().split()[1:]]
        assert len(pids) == 2
        os.killpg(program.pid, number)
        errors = program.communicate(timeout=60)[1]
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    deadline = time.monotonic() + 20
    while running := [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, f"still running: {running}"
        time.sleep(0.05)
