"""Downloads that can be interrupted, resumed and started twice: what appears under the final name is complete."""

import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO, TypeGuard

from tqdm import tqdm

from offlow_core.errors import UserError

OFFLINE_VARIABLE = "OFFLOW_OFFLINE"
_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 30
_PAUSE_S = 1.0  # before a connection that was cut is taken up again
_CONNECTION_ERRORS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


class DownloadError(UserError, RuntimeError):
    """A file could not be had; the message says how to get it by hand, `reason` only why.

    With `disk_full`, what was received is kept for the next attempt, and another address would not help. With
    `tls_failed`, no encrypted connection came about: most often the server could not prove who it is.
    """

    def __init__(self, message: str, reason: str, disk_full: bool = False, tls_failed: bool = False):
        super().__init__(message, reason, disk_full, tls_failed)
        self.reason = reason
        self.disk_full = disk_full
        self.tls_failed = tls_failed

    def __str__(self) -> str:
        return self.args[0]


def download(
    url: str,
    target: Path,
    *,
    expected_bytes: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    progress: bool = True,
) -> Path:
    """Fetch `url` into `target`, which appears only when it is complete; an existing `target` is left as it is.

    The part received so far is kept in `<target>.part`, and the next attempt resumes there if the file on the server is
    still the same. A second process that wants the same file waits for the first. `check` gets the path of the complete
    part before that has its final name, and raises a UserError that says (as half a sentence) what is wrong with it;
    the part is then thrown away, as it is where the checksum is another one. The part is locked: a check by HDF5 must
    do without locks. Raises DownloadError; with the environment variable OFFLOW_OFFLINE=1 before any connection.
    """
    if target.exists():
        return target
    if os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0"):
        reason = f"downloads are switched off ({OFFLINE_VARIABLE} is set)"
        raise DownloadError(_by_hand(url, target, reason), reason)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked_part(target) as part:
            if part is not None:
                _Transfer(url, target, part, expected_bytes, progress).run(sha256, check)
    except (OSError, http.client.HTTPException) as error:
        reason = _reason(error)
        message = _by_hand(url, target, reason)
        raise DownloadError(message, reason, _is_disk_full(error), _is_tls_failure(error)) from error
    return target


class _Refused(OSError):
    """An answer that no further attempt would make better."""


class _Transfer:
    """One download by the process that holds the lock on `part`."""

    def __init__(self, url: str, target: Path, part: BinaryIO, expected_bytes: int | None, progress: bool):
        self.url, self.target, self.part, self.expected_bytes, self.progress = (
            url,
            target,
            part,
            expected_bytes,
            progress,
        )
        # Which version of the file the part belongs to, as the server names it; without it nothing can be resumed.
        self.version = target.with_name(f"{target.name}.part.version")

    def run(self, sha256: str | None, check: Callable[[Path], object] | None) -> None:
        """Receive everything, check it, and give the file its name."""
        most = self._received()
        while True:
            try:
                self._receive()
                break
            except _CONNECTION_ERRORS as error:
                # Try again only as long as that brings something new.
                if isinstance(error, urllib.error.HTTPError) or self._received() <= most:
                    raise
                most = self._received()
                time.sleep(_PAUSE_S)
        if sha256 is not None:
            self._require_checksum(sha256)
        self.part.flush()
        if check is not None:
            self._require_intact(check)
        os.fsync(self.part.fileno())
        Path(self.part.name).rename(self.target)
        self.version.unlink(missing_ok=True)

    def _receive(self) -> None:
        try:
            response = self._open()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            self._start_over()
            response = self._open()
        with response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                self._start_over()
            length = response.headers.get("Content-Length")
            total = None if length is None else self._received() + int(length)
            self._refuse_wrong_answer(response.headers.get_content_type(), total)
            self._remember_version(response.headers)
            self._copy(response, total)
        if total is not None and self._received() < total:
            raise ConnectionError(f"the connection was cut after {self._received()} of {total} bytes")
        if self.expected_bytes is not None and self._received() != self.expected_bytes:
            raise _Refused(f"expected {self.expected_bytes} bytes, got {self._received()}")

    def _open(self) -> http.client.HTTPResponse:
        headers = {"User-Agent": "offlow"}
        if self._received() and self.version.exists():
            headers |= {"Range": f"bytes={self._received()}-", "If-Range": self.version.read_text()}
        try:
            request = urllib.request.Request(self.url, headers=headers)
            return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except ValueError as error:
            raise _Refused(f"this is no address of a file on a server ({error})") from error

    def _refuse_wrong_answer(self, content_type: str, total: int | None) -> None:
        if content_type == "text/html":
            raise _Refused("the server sent a web page instead of the file")
        if total is None:
            return
        if self.expected_bytes not in (None, total):
            raise _Refused(f"expected {self.expected_bytes} bytes, but the server offers {total}")
        free = shutil.disk_usage(self.target.parent).free
        if total - self._received() > free:
            raise OSError(errno.ENOSPC, f"{total - self._received()} more bytes are needed, {free} are free")

    def _remember_version(self, headers: http.client.HTTPMessage) -> None:
        tag = headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        if version:
            self.version.write_text(version)
        else:
            self.version.unlink(missing_ok=True)

    def _copy(self, response: http.client.HTTPResponse, total: int | None) -> None:
        if self.progress:
            size = "" if total is None else f" ({total / 1e6:.0f} MB)"
            print(f"downloading {self.url}{size} to {self.target}", file=sys.stderr)
        bar = tqdm(
            desc=self.target.name,
            total=total,
            initial=self._received(),
            unit="B",
            unit_scale=True,
            disable=None if self.progress else True,  # None: shown on a terminal only
        )
        with bar:
            while block := response.read(_BLOCK_BYTES):
                self.part.write(block)
                bar.update(len(block))

    def _require_checksum(self, sha256: str) -> None:
        self.part.flush()
        with Path(self.part.name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            self._throw_away()
            raise _Refused(f"expected the SHA-256 checksum {sha256}, got {found}")

    def _require_intact(self, check: Callable[[Path], object]) -> None:
        try:
            check(Path(self.part.name))
        except UserError as error:
            self._throw_away()
            raise _Refused(f"it arrived damaged and was removed ({error}); trying again may help") from error

    def _throw_away(self) -> None:
        Path(self.part.name).unlink()
        self.version.unlink(missing_ok=True)

    def _start_over(self) -> None:
        self.part.truncate(0)
        self.version.unlink(missing_ok=True)

    def _received(self) -> int:
        return self.part.seek(0, os.SEEK_END)


@contextlib.contextmanager
def _locked_part(target: Path) -> Generator[BinaryIO | None]:
    """The partial file, locked against other processes; None where another one has completed `target` meanwhile."""
    path = target.with_name(f"{target.name}.part")
    while not target.exists():
        with path.open("ab") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another process that downloads {target}", file=sys.stderr)
                fcntl.flock(part, fcntl.LOCK_EX)
            # The process waited for may have renamed or deleted what we opened.
            if path.exists() and os.path.samestat(os.fstat(part.fileno()), path.stat()):
                try:
                    yield part
                finally:
                    if path.exists() and os.fstat(part.fileno()).st_size == 0:
                        path.unlink()  # nothing was received that could be resumed
                return
    yield None


def _is_disk_full(error: Exception) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _is_tls_failure(error: Exception) -> bool:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, ssl.SSLError)


def _reason(error: Exception) -> str:
    if _is_disk_full(error):
        return f"the disk is full ({error.strerror}); what was received is kept and resumed when there is room"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(error.reason) if isinstance(error, urllib.error.URLError) else str(error)


def _by_hand(url: str, target: Path, reason: str) -> str:
    by_hand = f"To get it by hand, fetch\n  {url}\nand put it at\n  {target}"
    return f"{target.name} could not be downloaded: {reason}.\n{by_hand}"
