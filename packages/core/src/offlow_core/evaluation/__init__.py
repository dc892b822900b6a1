"""A policy and an environment factory -> one record per episode (batched, seeded, chunk-aware), and videos."""

from offlow_core.evaluation.action_queue import ActionQueue
from offlow_core.evaluation.errors import EvaluationError
from offlow_core.evaluation.evaluator import Evaluator, episode_seed
from offlow_core.evaluation.records import EpisodeRecord, summarise
from offlow_core.evaluation.schedule import Policy

__all__ = ["ActionQueue", "EpisodeRecord", "EvaluationError", "Evaluator", "Policy", "episode_seed", "summarise"]
