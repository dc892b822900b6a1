"""Where D4RL's files can be had, and fetching one from the first place that has it intact."""

import os
from pathlib import Path

from offlow_core.data.download import DownloadError, download
from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.validation import DatasetError

MIRRORS_VARIABLE = "OFFLOW_D4RL_MIRRORS"
# D4RL itself names the second address; the same server has a certificate and offers the same files encrypted.
ROOTS = (
    "https://rail.eecs.berkeley.edu/datasets/offline_rl",
    "http://rail.eecs.berkeley.edu/datasets/offline_rl",
)
# "D4RL Dataset on HuggingFace" (August 2023): the same files, all in one folder.
FLAT_ROOTS = ("https://huggingface.co/datasets/imone/D4RL/resolve/main",)


def addresses(path: str) -> list[str]:
    """Where to look for a file, given by its path below D4RL's root; the user's own mirrors come first.

    Those may have D4RL's folders or all files in one.
    """
    file = path.rpartition("/")[2]
    own = [root.strip().rstrip("/") for root in os.environ.get(MIRRORS_VARIABLE, "").split(",") if root.strip()]
    return [
        *(f"{root}/{name}" for root in own for name in (path, file)),
        *(f"{root}/{path}" for root in ROOTS),
        *(f"{root}/{file}" for root in FLAT_ROOTS),
    ]


def download_file(path: str, target: Path) -> None:
    """Download a file, given by its path below D4RL's root, to `target`; a damaged one does not stay.

    DatasetError names all addresses that were tried, and why each of them failed.
    """
    tried = []
    for address in addresses(path):
        try:
            download(address, target)
            _require_intact(target)
            return
        except DownloadError as error:
            if error.disk_full:
                raise DatasetError(str(error)) from error
            tried.append(f"  {address}\n    {error.reason}")
        except DatasetError as error:
            tried.append(f"  {address}\n    arrived damaged and was removed: {error}")
    raise DatasetError(
        "\n".join(
            (
                f"{target.name} could not be downloaded:",
                *tried,
                f"To get it by hand, fetch it from one of these addresses and put it at\n  {target}",
                f"or set {MIRRORS_VARIABLE} to the address of another copy of D4RL's files.",
            )
        )
    )


def _require_intact(target: Path) -> None:
    """Nobody publishes checksums, but HDF5 notices a missing end."""
    try:
        with Hdf5File(target):
            pass
    except DatasetError:
        target.unlink(missing_ok=True)
        raise
