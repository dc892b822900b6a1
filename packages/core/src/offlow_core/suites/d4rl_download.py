"""Where D4RL's files can be had, and fetching one from the first place that has it intact."""

import os
import sys
from pathlib import Path

from offlow_core.data.download import DownloadError, download
from offlow_core.data.intact import require_hdf5
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

    Where encryption has failed, nothing is fetched without: whoever interferes there could send anything here.
    DatasetError names all addresses, and why each of them failed.
    """
    tried, tls_failed = [], False
    for address in addresses(path):
        is_plain = address.startswith("http:")
        if is_plain and tls_failed:
            tried.append(f"  {address}\n    not tried: it has no encryption, and that of an address above failed")
            continue
        try:
            download(address, target, check=require_hdf5)
        except DownloadError as error:
            if error.disk_full:
                raise DatasetError(str(error)) from error
            tried.append(f"  {address}\n    {error.reason}")
            tls_failed |= error.tls_failed
            continue
        if is_plain:
            _announce_plain_http(address)
        return
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


def _announce_plain_http(address: str) -> None:
    print(
        f"{address}: fetched over plain http, and no checksum is published: nothing proves that this is D4RL's file",
        file=sys.stderr,
    )
