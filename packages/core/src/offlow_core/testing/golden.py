"""Recorded cases of the official implementations, and the tolerances to hold against them.

Cases are `<folder>/<family>/*.npz`, the folder being OFFLOW_GOLDEN if set, else the package's own `tests/golden`. A
case holds `config` (JSON), `batch/...`, `noise/...` (iteration 1; `noise_2/...`, `noise_3/...`), `params/...`,
`grads/...`, `expected/...` (`expected_2/...`, ...) and `params_after_1/...`, `params_after_3/...`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class GoldenCase:
    """One file: its configuration and its arrays by name."""

    name: str
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def group(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays below `prefix/`, by the rest of their names."""
        return {k.removeprefix(f"{prefix}/"): v for k, v in self.arrays.items() if k.startswith(f"{prefix}/")}

    def tree(self, prefix: str) -> dict[str, Any]:
        """The arrays below `prefix/` as nested dictionaries."""
        tree: dict[str, Any] = {}
        for name, array in self.group(prefix).items():
            *parents, leaf = name.split("/")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = array
        return tree

    def settings(self, config_type: type[Any]) -> dict[str, Any]:
        """The entries of the recorded configuration that are fields of `config_type`; lists as tuples.

        An encoder is left out: the cases describe theirs by sizes, see `encoder_kwargs`.
        """
        names = {field.name for field in fields(config_type)} - {"encoder"}
        return {k: tuple(v) if isinstance(v, list) else v for k, v in self.config.items() if k in names}

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return tuple(self.arrays["batch/observations"].shape[1:])

    @property
    def encoder_sizes(self) -> dict[str, Any] | None:
        """Sizes of the image encoder, lists as tuples; None for state observations."""
        sizes = self.config.get("encoder_kwargs")
        return None if sizes is None else {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}

    def has(self, prefix: str) -> bool:
        """Whether there are arrays below `prefix/`."""
        return bool(self.group(prefix))

    @property
    def iterations(self) -> list[str]:
        """Suffixes of the recorded iterations: "", "_2", "_3"."""
        later = {name.split("/")[0].removeprefix("noise") for name in self.arrays if name.startswith("noise_")}
        return ["", *sorted(later)]


def golden_folder(test_file: str) -> Path:
    """Where the cases of the package with this test file are."""
    return Path(os.environ.get("OFFLOW_GOLDEN") or Path(test_file).parent / "golden")


def case_files(test_file: str, family: str) -> list[Path]:
    """All case files of a family; an error if there is none, because a test that found nothing would have passed."""
    folder = golden_folder(test_file) / family
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"no golden case in {folder}; expected {family}/*.npz in OFFLOW_GOLDEN or tests/golden")
    return files


def load_case(path: Path) -> GoldenCase:
    """Read one case."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "config"}
        return GoldenCase(path.stem, json.loads(str(file["config"])), arrays)


def assert_expected(case: GoldenCase, suffix: str, found: Mapping[str, Any]) -> None:
    """All values that the case expects of an iteration were found, metrics and intermediates alike."""
    expected = case.group(f"expected{suffix}")
    missing = sorted(set(expected) - set(found))
    assert not missing, f"{case.name}: the implementation does not report {missing}"
    for name, value in expected.items():
        rtol = 5e-4 if name.startswith("grad/") else 1e-4
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=2e-5, err_msg=f"{case.name} {name}{suffix}")


def assert_gradients(case: GoldenCase, found: Mapping[str, np.ndarray]) -> None:
    """The gradients of iteration 1; what the case records and was not found has to be zero."""
    for name, value in case.group("grads").items():
        gradient = found.get(name, np.zeros_like(value))
        np.testing.assert_allclose(gradient, value, rtol=1e-3, atol=2e-5, err_msg=f"{case.name} grads/{name}")


def assert_parameters(case: GoldenCase, suffix: str, found: Mapping[str, np.ndarray], lr: float) -> None:
    """The parameters after the iteration with this suffix, if recorded.

    Adam amplifies entries whose gradient is nearly zero, hence the part in proportion to the step size.
    """
    images = len(case.observation_shape) == 3
    atol = 1e-5 if images else max(3e-6, 2e-3 * lr)
    for name, value in case.group(f"params_after_{suffix.lstrip('_') or 1}").items():
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=atol, err_msg=f"{case.name} {name} after{suffix}"
        )
