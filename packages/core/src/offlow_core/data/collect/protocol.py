"""What each OGBench data set that scripted oracles can produce consists of: environment, behaviour and size."""

import difflib
import re
from dataclasses import dataclass
from typing import Literal, cast

from offlow_core.errors import UserError

Family = Literal["cube", "scene", "puzzle", "pointmaze"]
Behaviour = Literal["play", "noisy", "navigate", "stitch"]

# Episodes of the official training sets; the two behaviours of a manipulation environment have the same size.
MANIPULATION_EPISODES = {
    "cube-single": 1000,
    "cube-double": 1000,
    "cube-triple": 3000,
    "cube-quadruple": 5000,
    "scene": 1000,
    "puzzle-3x3": 1000,
    "puzzle-4x4": 1000,
    "puzzle-4x5": 3000,
    "puzzle-4x6": 5000,
}
POINTMAZES = ("medium", "large", "giant", "teleport")


class CollectError(UserError):
    """A collection that cannot start or continue; the message says why and what to do."""


@dataclass(frozen=True)
class Protocol:
    """One data set as OGBench publishes it.

    `episode_rows` counts stored rows; an episode of L rows holds L - 1 transitions.
    """

    dataset: str
    environment: str
    family: Family
    behaviour: Behaviour
    episodes: int
    episode_rows: int

    @property
    def visual(self) -> bool:
        """Whether observations are rendered frames instead of state vectors."""
        return self.environment.startswith("visual-")

    @property
    def task(self) -> str:
        """Name of the data set's default single task, as the training commands take it."""
        return self.dataset.removesuffix("-v0") + "-singletask-v0"


def _manipulation(environment: str, behaviour: Behaviour, prefix: str) -> Protocol:
    return Protocol(
        dataset=f"{prefix}{environment}-{behaviour}-v0",
        environment=f"{prefix}{environment}-v0",
        family=cast(Family, environment.split("-")[0]),
        behaviour=behaviour,
        episodes=MANIPULATION_EPISODES[environment],
        episode_rows=1001,
    )


def _pointmaze(maze: str, behaviour: Behaviour) -> Protocol:
    episodes, rows = 1000, 1001
    if behaviour == "stitch":
        episodes, rows = 5000, 201
    elif maze == "giant":
        episodes, rows = 500, 2001
    return Protocol(
        dataset=f"pointmaze-{maze}-{behaviour}-v0",
        environment=f"pointmaze-{maze}-v0",
        family="pointmaze",
        behaviour=behaviour,
        episodes=episodes,
        episode_rows=rows,
    )


def _all_protocols() -> dict[str, Protocol]:
    behaviours: tuple[Behaviour, ...] = ("play", "noisy")
    found = [_manipulation(e, b, p) for p in ("", "visual-") for e in MANIPULATION_EPISODES for b in behaviours]
    routes: tuple[Behaviour, ...] = ("navigate", "stitch")
    found += [_pointmaze(m, b) for m in POINTMAZES for b in routes]
    return {protocol.dataset: protocol for protocol in found}


PROTOCOLS = _all_protocols()


def find_protocol(name: str) -> Protocol:
    """The protocol of a data set, named with or without `-v0` or by one of its tasks.

    Raises:
        CollectError: no such data set, or one that needs more than scripted oracles; lists near matches.
    """
    dataset = re.sub(r"-singletask(-task\d+)?", "", name).removesuffix("-v0") + "-v0"
    if dataset in PROTOCOLS:
        return PROTOCOLS[dataset]
    if re.match(r"(visual-)?(antmaze|humanoidmaze|antsoccer)-", dataset):
        reason = "its trained locomotion policies are not distributed, so it can only be downloaded"
        raise CollectError(f"{name!r} cannot be collected: {reason}")
    near = difflib.get_close_matches(dataset, PROTOCOLS, n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(PROTOCOLS)}"
    raise CollectError(f"no data set {name!r} to collect; {hint}")
