"""Downloads from a server on this machine that can cut connections, change files and answer with web pages."""

import errno
import hashlib
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from offlow_core.data import download as module
from offlow_core.data.download import DownloadError, download
from offlow_core.data.validation import DatasetError

CONTENT = bytes(range(256)) * 8192  # 2 MiB


@dataclass
class Server:
    """What the server has and how it misbehaves; `requests` records the Range header of each request."""

    content: bytes = CONTENT
    version: str | None = '"v1"'
    content_type: str = "application/octet-stream"
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # connections that end after so many bytes, in turn
    status: int | None = None
    delay_s: float = 0.0
    requests: list[str | None] = field(default_factory=list)
    address: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.requests.append(wanted)
        if self.status is not None:
            handler.send_error(self.status)
            return
        unchanged = handler.headers.get("If-Range") == self.version
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges and unchanged else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Type", self.content_type)
        handler.send_header("Content-Length", str(len(self.content) - start))
        if self.version is not None:
            handler.send_header("ETag", self.version)
        handler.end_headers()
        threading.Event().wait(self.delay_s)
        end = start + self.cuts.pop(0) if self.cuts else len(self.content)
        handler.wfile.write(self.content[start:end])


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.answer(self)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{http.server_address[1]}/data.npz"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "cache" / "data.npz"


def leave_part(target: Path, content: bytes, version: str = '"v1"') -> None:
    """What an earlier, interrupted download left behind."""
    target.parent.mkdir()
    target.with_name("data.npz.part").write_bytes(content)
    target.with_name("data.npz.part.version").write_text(version)


def files(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_and_leaves_nothing_else(server, target, capsys):
    assert download(server.address, target) == target
    assert target.read_bytes() == CONTENT
    assert files(target) == ["data.npz"]
    assert f"{server.address} (2 MB) to {target}" in capsys.readouterr().err


def test_an_existing_file_is_not_asked_for_again(server, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    download(server.address, target)
    assert target.read_bytes() == b"mine"
    assert server.requests == []


def test_a_cut_connection_is_taken_up_where_it_ended(server, target):
    server.cuts = [1_000_000, 500_000]
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_connection_that_brings_nothing_is_given_up_and_resumed_by_the_next_call(server, target):
    server.cuts = [1_000_000, 0]
    with pytest.raises(DownloadError, match="cut after 1000000 of 2097152 bytes"):
        download(server.address, target, progress=False)
    assert not target.exists()
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=1000000-"
    assert files(target) == ["data.npz"]


def test_a_part_of_another_version_is_thrown_away(server, target):
    leave_part(target, b"old" * 1000, version='"v0"')
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT


def test_a_part_of_unknown_version_is_thrown_away(server, target):
    leave_part(target, b"old" * 1000)
    target.with_name("data.npz.part.version").unlink()
    download(server.address, target, progress=False)
    assert server.requests == [None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_that_is_complete_or_too_long_is_fetched_again(server, target, extra):
    leave_part(target, CONTENT + extra)
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(server, target):
    server.ranges = False
    leave_part(target, CONTENT[:1000])
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT


def test_a_weak_version_cannot_be_resumed(server, target):
    server.version, server.cuts = 'W/"v1"', [1000]
    download(server.address, target, progress=False)
    assert server.requests == [None, None]
    assert target.read_bytes() == CONTENT


def test_a_web_page_is_not_data(server, target):
    server.content, server.content_type = b"<html>log in</html>", "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match="sent a web page instead of the file"):
        download(server.address, target, progress=False)
    assert not target.exists()


def test_another_size_than_expected_is_refused_before_it_is_fetched(server, target):
    with pytest.raises(DownloadError, match="expected 5 bytes, but the server offers 2097152"):
        download(server.address, target, expected_bytes=5, progress=False)
    assert not target.exists()
    download(server.address, target, expected_bytes=len(CONTENT), progress=False)
    assert target.exists()


def test_another_checksum_is_refused_and_its_part_thrown_away(server, target):
    with pytest.raises(DownloadError, match=r"expected the SHA-256 checksum 00, got [0-9a-f]{64}"):
        download(server.address, target, sha256="00", progress=False)
    assert files(target) == []
    download(server.address, target, sha256=hashlib.sha256(CONTENT).hexdigest(), progress=False)
    assert target.exists()


def refuse(_: Path) -> None:
    raise DatasetError("it has no end")


def test_a_part_that_fails_its_check_never_gets_the_name_and_is_thrown_away(server, target):
    def check(part: Path) -> None:
        assert part.read_bytes() == CONTENT
        assert files(target) == ["data.npz.part", "data.npz.part.version"]
        refuse(part)

    with pytest.raises(DownloadError) as error:
        download(server.address, target, check=check, progress=False)
    assert error.value.reason == "it arrived damaged and was removed (it has no end); trying again may help"
    assert f"\n  {server.address}\n" in str(error.value)
    assert files(target) == []
    download(server.address, target, check=lambda part: None, progress=False)
    assert server.requests == [None, None]
    assert files(target) == ["data.npz"]


def test_an_existing_file_is_not_checked(server, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    download(server.address, target, check=refuse)
    assert target.read_bytes() == b"mine"


def test_a_failure_of_encryption_is_told_from_others(server, target):
    """The server answers without encryption, which is no answer to https."""
    with pytest.raises(DownloadError) as error:
        download(server.address.replace("http:", "https:"), target, progress=False)
    assert error.value.tls_failed
    assert pickle.loads(pickle.dumps(error.value)).tls_failed
    server.status = 404
    with pytest.raises(DownloadError) as error:
        download(server.address, target, progress=False)
    assert not error.value.tls_failed


def test_the_error_says_where_to_get_the_file_and_where_to_put_it(server, target):
    server.status = 404
    with pytest.raises(DownloadError, match="the server answers 404 Not Found") as error:
        download(server.address, target, progress=False)
    assert f"\n  {server.address}\n" in str(error.value)
    assert str(error.value).endswith(f"\n  {target}")
    assert (error.value.reason, error.value.disk_full) == ("the server answers 404 Not Found", False)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    assert server.requests == [None]


def test_a_host_that_is_down(target):
    with pytest.raises(DownloadError, match="Connection refused"):
        download("http://127.0.0.1:9/data.npz", target, progress=False)


def test_offline_mode_asks_nobody(server, target, monkeypatch):
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    with pytest.raises(DownloadError, match="OFFLOW_OFFLINE is set"):
        download(server.address, target)
    assert server.requests == []
    monkeypatch.setenv("OFFLOW_OFFLINE", "0")
    download(server.address, target, progress=False)


def test_too_little_room_is_noticed_before_the_download(server, target, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        DownloadError, match=r"the disk is full \(2097152 more bytes are needed, 1000 are free\)"
    ) as error:
        download(server.address, target, progress=False)
    assert error.value.disk_full
    assert not target.exists()


def test_a_disk_that_fills_up_leaves_no_file_that_looks_whole(server, target, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DownloadError, match=r"the disk is full \(No space left on device\)"):
        download(server.address, target, progress=False)
    assert not target.exists()
    monkeypatch.undo()
    download(server.address, target, progress=False)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="could not be downloaded"):
        download(server.address, tmp_path / "file" / "data.npz", progress=False)


def test_a_second_process_waits_for_the_first(server, target):
    server.delay_s = 0.3
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=download, args=(server.address, target)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert server.requests == [None]
    assert files(target) == ["data.npz"]


@pytest.mark.parametrize("address", ["nonsense/file.npz", "/a/folder/file.npz"])
def test_what_is_no_address_is_refused_and_leaves_nothing(target, address):
    with pytest.raises(DownloadError, match="no address of a file on a server"):
        download(address, target)
    assert files(target) == []


def test_a_failure_that_brought_nothing_leaves_no_empty_part(target):
    with pytest.raises(DownloadError):
        download("http://127.0.0.1:9/file.npz", target)
    assert files(target) == []
