"""Where robomimic's files can be had, and fetching one of them."""

from pathlib import Path

from offlow_core.data.download import DownloadError, download
from offlow_core.data.intact import require_hdf5
from offlow_core.data.validation import DatasetError

# The first is the one that the package robomimic 0.5 downloads from, the second the one that its documentation names.
ROOTS = (
    "https://huggingface.co/datasets/robomimic/robomimic_datasets/resolve/main/v1.5",
    "https://huggingface.co/datasets/amandlek/robomimic/resolve/main/v1.5",
)


def download_file(path: str, target: Path) -> None:
    """Download a file, given by its path below the datasets' root, to `target`; a damaged one does not stay.

    DatasetError names all addresses, and why each of them failed.
    """
    tried = []
    for address in (f"{root}/{path}" for root in ROOTS):
        try:
            download(address, target, check=require_hdf5)
        except DownloadError as error:
            if error.disk_full:
                raise DatasetError(str(error)) from error
            tried.append(f"  {address}\n    {error.reason}")
        else:
            return
    raise DatasetError(
        "\n".join(
            (
                f"{path} of robomimic could not be downloaded:",
                *tried,
                f"To get it by hand, fetch it from one of these addresses and put it at\n  {target}",
            )
        )
    )
