"""Episodes of the point mazes: shortest paths between random cells, walked with noise."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from offlow_core.data.collect.episode import Episode, EpisodeSeeds, Recorder
from offlow_core.data.collect.protocol import Protocol

Cell = tuple[int, int]

ACTION_NOISE = 0.5
STITCH_DISTANCE_CELLS = 4


def make_environment(protocol: Protocol, episode_rows: int) -> gymnasium.Env:
    """The goal-conditioned maze, which goes on after a goal is reached."""
    import ogbench  # noqa: F401  (registers the environments)

    return gymnasium.make(
        protocol.environment,
        terminate_at_goal=False,
        max_episode_steps=episode_rows,
        disable_env_checker=True,
    )


def free_cells(maze: np.ndarray) -> list[Cell]:
    """All cells without a wall; `maze` is 1 at walls and 0 elsewhere."""
    return [(int(i), int(j)) for i, j in np.argwhere(maze == 0)]


def vertex_cells(maze: np.ndarray) -> list[Cell]:
    """Free cells that are not the inside of a straight corridor: ends, corners, crossings and open spaces."""

    def corridor(i: int, j: int) -> bool:
        vertical = maze[i - 1, j], maze[i + 1, j]
        horizontal = maze[i, j - 1], maze[i, j + 1]
        return (vertical, horizontal) in (((0, 0), (1, 1)), ((1, 1), (0, 0)))

    return [cell for cell in free_cells(maze) if not corridor(*cell)]


def cells_at_distance(maze: np.ndarray, start: Cell, distance: int) -> list[Cell]:
    """Free cells whose shortest path from `start` has `distance` steps."""
    ring, seen = [start], {start}
    for _ in range(distance):
        neighbours = [(i + di, j + dj) for i, j in ring for di, dj in ((-1, 0), (0, -1), (1, 0), (0, 1))]
        ring = [cell for cell in dict.fromkeys(neighbours) if maze[cell] == 0 and cell not in seen]
        seen.update(ring)
    return sorted(ring)


class PointMazeCollector:
    """Collects episodes in one maze, which is built once."""

    def __init__(self, protocol: Protocol, episode_rows: int):
        self.protocol = protocol
        self.episode_rows = episode_rows
        self.environment = make_environment(protocol, episode_rows)
        self.maze: Any = self.environment.unwrapped
        self.free = free_cells(self.maze.maze_map)
        self.vertices = vertex_cells(self.maze.maze_map)
        # A subgoal depends only on the two cells; a search at every step would take most of the time.
        self.subgoals: dict[tuple[Cell, Cell], np.ndarray] = {}

    def collect(self, seed: int, episode: int, report: Callable[[int], object]) -> Episode:
        """Episode number `episode`; `report(rows)` is called after each step."""
        seeds = EpisodeSeeds.derive(seed, episode)
        generator = seeds.start(self.environment.action_space)
        start, goal = self.draw_route(generator)
        task = {"init_ij": start, "goal_ij": goal}
        observation, _ = self.environment.reset(seed=seeds.environment, options={"task_info": task})

        recorder, reached = Recorder(), 0
        while len(recorder) < self.episode_rows:
            action = self._action(generator)
            following, _, _, _, info = self.environment.step(action)
            recorder.add(observation, action, info)
            if info["success"] and self.protocol.behaviour == "navigate":
                reached += 1
                self._set_goal(self.vertices[generator.integers(len(self.vertices))])
            elif info["success"]:
                reached = 1
            observation = following
            report(len(recorder))
        return Episode(recorder.arrays(), Counter(goals=reached))

    def draw_route(self, generator: np.random.Generator) -> tuple[Cell, Cell]:
        """A uniform start and its first goal: any vertex (`navigate`), or a cell four steps away (`stitch`)."""
        start = self.free[generator.integers(len(self.free))]
        goals = self.vertices
        if self.protocol.behaviour == "stitch":
            # The teleport maze has a start without neighbours: it stays where it is.
            goals = cells_at_distance(self.maze.maze_map, start, STITCH_DISTANCE_CELLS) or [start]
        return start, goals[generator.integers(len(goals))]

    def _set_goal(self, cell: Cell) -> None:
        # Passing goal_ij instead would draw the same noise, but write NaN into the model as the target's position.
        self.maze.set_goal(goal_xy=self.maze.add_noise(self.maze.ij_to_xy(cell)))

    def _action(self, generator: np.random.Generator) -> np.ndarray:
        ahead = self._subgoal() - self.maze.get_xy()
        direction = ahead / (np.linalg.norm(ahead) + 1e-6)
        return np.clip(direction + generator.normal(0, ACTION_NOISE, size=2), -1, 1)

    def _subgoal(self) -> np.ndarray:
        """Centre of the next cell on the way to the goal."""
        position, goal = self.maze.get_xy(), self.maze.cur_goal_xy
        cells = self.maze.xy_to_ij(position), self.maze.xy_to_ij(goal)
        if cells not in self.subgoals:
            self.subgoals[cells] = self.maze.get_oracle_subgoal(position, goal)[0]
        return self.subgoals[cells]
