"""Mazes of D4RL and their MuJoCo models."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import gymnasium.envs.mujoco
import mujoco
import numpy as np

from offlow_core.suites.d4rl_environments.model_files import ModelFile

# 1: wall, R: start, G: goal of the test environment. D4RL's play and diverse datasets share it.
MAPS = {
    "antmaze-umaze": (
        "11111",
        "1R001",
        "11101",
        "1G001",
        "11111",
    ),
    "antmaze-medium": (
        "11111111",
        "1R011001",
        "10010001",
        "11000111",
        "10010001",
        "10100101",
        "100010G1",
        "11111111",
    ),
    "antmaze-large": (
        "111111111111",
        "1R0001000001",
        "101101010101",
        "100000010001",
        "101111011101",
        "100101000001",
        "110101010111",
        "100100010G01",
        "111111111111",
    ),
}
CELL = 4.0
GOAL_RADIUS = 0.5
ANT_FILE = Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "ant.xml"


def cell_centres(maze: str, kind: str) -> np.ndarray:
    """Centres (x, y) of all cells of one kind, [cells, 2]; the start cell (1, 1) is the origin and y grows by rows."""
    cells = [(j, i) for i, row in enumerate(MAPS[maze]) for j, cell in enumerate(row) if cell == kind]
    return CELL * np.array(cells, np.float64) - CELL


def build_model(maze: str) -> mujoco.MjModel:
    """Gymnasium's ant in a maze, changed so that geoms, masses, joints and torques equal those of D4RL's model.

    A disc on the floor, which takes no part in the physics, shows where the goal is.
    """
    ant = ModelFile(ANT_FILE)
    ant.part("option").set("timestep", "0.02")
    ant.part("default/geom").attrib.update(solref=".02 1", solimp=".8 .8 .01")
    for motor in ant.root.iterfind("actuator/motor"):
        motor.set("gear", "30")
    world = ant.part("worldbody")
    half = CELL / 2
    for x, y in cell_centres(maze, "1"):
        wall = {"type": "box", "pos": f"{x} {y} {half / 2}", "size": f"{half} {half} {half / 2}"}
        ElementTree.SubElement(world, "geom", wall, contype="1", conaffinity="1", rgba=".7 .5 .3 1")
    # Not at the origin: MuJoCo would take a site there as fixed to its body and never look at its position again.
    disc = {"name": "goal", "type": "cylinder", "pos": "0 0 .02", "size": f"{GOAL_RADIUS} .02", "rgba": ".8 .1 .1 .7"}
    ElementTree.SubElement(world, "site", disc)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(ant.root, encoding="unicode"))
