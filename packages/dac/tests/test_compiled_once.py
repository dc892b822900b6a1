"""Updates, acting and evaluation are compiled once, however often the parameters change."""

from offlow_core.testing.learner_battery import moments, phases_of
from offlow_core.testing.toy_task import make_dataset, make_task
from offlow_dac.agents import make_learner
from offlow_dac.config import DacConfig
from offlow_dac.options import DacOptions


def test_every_program_is_compiled_once():
    agent = DacConfig(hidden_dims=(8,), batch_size=4, T=2, num_qs=2, num_q_samples=2, num_action_samples=2)
    run = {"offline_steps": 4, "online_steps": 6, "eval_interval": 0, "num_seeds": 2, "reward_tune": "no"}
    learner = make_learner(DacOptions(**run, agent=agent), make_dataset(), make_task())
    for phase in phases_of(learner):
        learner.enter(phase)
        for step in range(phase.first_step, phase.last_step, 2):
            learner.advance(step, 2)
            actions = [learner.policy(seed)(*moments(5)) for seed in range(2)]
            assert (actions[0] != actions[1]).any()
        stage = learner._stage
        programs = [stage._block] if phase.name == "offline" else [stage._act, stage._update]
        assert [program._cache_size() for program in (*programs, learner._policy)] == [1] * (1 + len(programs))
        learner.leave(phase)
