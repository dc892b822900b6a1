"""Episodes as mp4 files."""

import math
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np

from offlow_core.evaluation.errors import EvaluationError

UNDER_WAY, SUCCEEDED, FAILED = (110, 110, 110), (40, 170, 70), (205, 50, 45)  # RGB of the border
SMALLEST_SIDE_PIXELS = 240  # smaller frames (observations of pixel tasks are 64 wide) are enlarged
HOLD_S = 0.7  # for which an episode's last frame stays
DEFAULT_FPS = 30


class Film:
    """An mp4 file under construction; it appears under its name when the `with` block ends without an error."""

    def __init__(self, path: Path) -> None:
        if path.suffix != ".mp4":
            raise ValueError(f"expected a path that ends in .mp4, got {path}")
        _ffmpeg()  # fail before any episode is played
        self.frames = 0
        self._path = path
        self._unfinished = path.with_name(f".{path.stem}.part.mp4")
        self._shape: tuple[int, ...] = ()
        self._encoder: Generator[None, bytes, None] | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if self._encoder is not None:
                self._encoder.close()
            if error is None:
                self._check_complete()
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)

    def add(self, frame: np.ndarray, border: tuple[int, int, int], fps: float) -> None:
        """Append a frame [H, W, 3]; the first one decides the film's size and frame rate."""
        picture = with_border(frame, border)
        if self._encoder is None:
            self._shape = picture.shape
            self._encoder = self._start_encoder(fps)
        if picture.shape != self._shape:
            raise ValueError(f"expected frames that keep their size, got {picture.shape} after {self._shape}")
        self._encoder.send(picture.tobytes())
        self.frames += 1

    def _start_encoder(self, fps: float) -> Generator[None, bytes, None]:
        height, width, _ = self._shape
        # Block size 1: frames are even already, and the default would rescale them to multiples of 16.
        encoder = _ffmpeg().write_frames(
            self._unfinished, (width, height), fps=fps, macro_block_size=1, ffmpeg_log_level="error"
        )
        encoder.send(None)
        return encoder

    def _check_complete(self) -> None:
        # The encoder's exit status is not passed on; a full disk shows in the file only.
        written, _ = _ffmpeg().count_frames_and_secs(str(self._unfinished))
        if written != self.frames:
            raise OSError(f"{self._path}: {written} of {self.frames} frames were written; is the disk full?")


class FilmedEnvironment(gymnasium.Wrapper):
    """Adds a frame to a film at every reset and step."""

    def __init__(self, env: gymnasium.Env, film: Film) -> None:
        super().__init__(env)
        self._film = film
        self._fps = env.metadata.get("render_fps", DEFAULT_FPS)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        self._add(UNDER_WAY)
        return observation, info

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._add(SUCCEEDED if info.get("success") else UNDER_WAY)
        if terminated or truncated:
            self._hold(info)
        return observation, reward, terminated, truncated, info

    def _hold(self, info: dict[str, Any]) -> None:
        failed = "success" in info and not info["success"]
        border = FAILED if failed else SUCCEEDED if info.get("success") else UNDER_WAY
        self._add(border, times=math.ceil(HOLD_S * self._fps))

    def _add(self, border: tuple[int, int, int], times: int = 1) -> None:
        frame = self.env.render()
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise EvaluationError(f"expected render() with render_mode='rgb_array' to give uint8 [H, W, 3], got {got}")
        for _ in range(times):
            self._film.add(frame, border, self._fps)


def with_border(frame: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The frame [H, W, 3], enlarged by a whole factor if small, inside a border; sides even, as video formats ask."""
    factor = max(1, math.ceil(SMALLEST_SIDE_PIXELS / min(frame.shape[:2])))
    frame = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width, _ = frame.shape
    border = max(4, min(height, width) // 40)
    canvas = np.empty((height + height % 2 + 2 * border, width + width % 2 + 2 * border, 3), np.uint8)
    canvas[:] = colour
    canvas[border : border + height, border : border + width] = frame
    return canvas


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "videos need imageio-ffmpeg, which the extra `video` brings: pip install 'offlow-core[video]'"
        ) from error
    return imageio_ffmpeg
