"""DeFlow's rule for its trust region `target_divergence`: a share of the intrinsic action variance, by kind of task."""

from dataclasses import dataclass

FACTORS = (0.1, 1.0)
"""The two shares that are published: for fine manipulation, and for navigation and locomotion."""


@dataclass(frozen=True)
class Recommendation:
    """What the rule gives for a task."""

    target_divergence: float
    factor: float
    """Its share of the IAV, one of FACTORS."""
    rule: str
    """Which case of the rule this is, and who says so, in words."""


_MANIPULATION = (0.1, "published: fine manipulation (OGBench's cube and scene)")
_MOVEMENT = (1.0, "published: navigation and locomotion")
_UNPUBLISHED_MOVEMENT = (1.0, "published for navigation and locomotion, though with no value for this task")
_PUZZLE = (
    0.1,
    "ours: manipulation; there is no rule for puzzles, and 3x3 and 4x4 have a larger published value, 0.005",
)
_HAND = (0.1, "ours: fine manipulation by a hand; there is no rule for it")
_KITCHEN = (0.1, "ours: manipulation; there is no rule for it")
_UNKNOWN = (0.1, "ours: nothing is known of this task, so the tighter one")

_CASES = {
    **dict.fromkeys(("cube", "scene"), _MANIPULATION),
    **dict.fromkeys(("antmaze", "humanoidmaze", "antsoccer"), _MOVEMENT),
    **dict.fromkeys(("pointmaze", "halfcheetah", "hopper", "walker2d"), _UNPUBLISHED_MOVEMENT),
    **dict.fromkeys(("ant", "humanoid", "swimmer"), _UNPUBLISHED_MOVEMENT),
    "puzzle": _PUZZLE,
    **dict.fromkeys(("pen", "door", "hammer", "relocate"), _HAND),
    "kitchen": _KITCHEN,
}


def recommended_target_divergence(action_variance: float, task_name: str | None) -> Recommendation:
    """The rule's share of an IAV for the task with this canonical name; None stands for data without a task.

    DeFlow's README (arXiv 2601.10471) has two cases: 0.1 x IAV for fine manipulation, by which it means OGBench's cube
    and scene, and 1.0 x IAV for navigation and locomotion. A value that it publishes for a task wins over the rule, and
    the two do not always agree: humanoidmaze has the value of the cubes (0.001), the hand pen that of the mazes (0.01).
    Whatever else gets a recommendation here, gets it from us, which its `rule` says:

    * Puzzles have no rule. They are manipulation, hence 0.1. But 3x3 and 4x4 with states have 0.005, five times the
      cubes' value, and their IAV is about the cubes' (our measurement, 3x3): 0.1 may be too tight.
    * D4RL's Adroit and Kitchen are manipulation, too. For D4RL the README names single values only.
    * Of your own data, and of tasks with other names, nothing is known: the tighter share stays closer to the data.
    """
    factor, rule = _CASES.get(_family(task_name or ""), _UNKNOWN)
    return Recommendation(factor * action_variance, factor, rule)


def _family(canonical_name: str) -> str:
    """The first word of an environment's name, in the suites whose names say what the environment is."""
    name = canonical_name.removeprefix("visual-")
    namespace, slash, rest = name.partition("/")
    if slash and namespace not in ("D4RL", "mujoco"):
        return ""
    return (rest if slash else name).partition("/")[0].partition("-")[0]
