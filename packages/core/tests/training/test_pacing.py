"""Block lengths on a clock that tells what it is told."""

import pytest

from offlow_core.training.pacing import Pacer


class Machine:
    """Needs `start_s` for a call and `step_s` for each step of it."""

    def __init__(self, step_s: float, start_s: float = 0.0, first_s: float = 0.0):
        self.step_s, self.start_s, self.first_s = step_s, start_s, first_s
        self.now_s, self.blocks = 0.0, []

    def advance(self, steps: int) -> None:
        self.now_s += self.start_s + steps * self.step_s + (self.first_s if not self.blocks else 0)
        self.blocks.append(steps)

    def run(self, *limits: int) -> list[int]:
        pacer = Pacer(target_s=1.0, clock=lambda: self.now_s)
        return [pacer.run(self.advance, limit) for limit in limits]


def test_blocks_grow_fourfold_until_they_take_the_target():
    assert Machine(step_s=1 / 128).run(*[10**9] * 6) == [1, 4, 16, 64, 128, 128]


def test_a_slow_first_call_is_forgotten():
    assert Machine(step_s=1 / 8, first_s=30.0).run(*[100] * 4) == [1, 1, 4, 8]


def test_a_limit_is_kept_and_does_not_slow_down_what_follows():
    machine = Machine(step_s=1 / 128)
    assert machine.run(10**9, 10**9, 10**9, 10**9, 10**9, 3, 10**9) == [1, 4, 16, 64, 128, 3, 128]
    assert machine.blocks[-2] == 3


def test_steps_longer_than_the_target_come_one_by_one():
    assert Machine(step_s=5.0).run(9, 9, 9) == [1, 1, 1]


@pytest.mark.parametrize("limit", [1, 2])
def test_a_clock_that_stands_still_is_no_problem(limit):
    assert Machine(step_s=0.0).run(limit, limit) == [1, limit]
