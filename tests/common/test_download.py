"""Download of a file once into a cache: checked, whole or not at all."""

import hashlib
import io

import pytest
from downloads import Server, files_in
from helpers import write_files

from dcgan_tf.common.download import fetch
from dcgan_tf.common.errors import UserError

BODY = b"x" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


def download(folder, url, sha256=SHA256):
    return fetch(url, folder / "file.bin", sha256, "the file", 1000, "name one with --file PATH")


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_file_is_downloaded_once_and_what_is_no_whole_file_is_replaced(tmp_path, sha256):
    for before in (b"half", b"y" * 1000)[: 1 + (sha256 is not None)]:
        write_files(tmp_path, {"file.bin": before})
        with Server(BODY) as server:
            path = download(tmp_path, server.url, sha256)
            assert path.read_bytes() == BODY and files_in(tmp_path) == ["file.bin"]
            assert download(tmp_path, server.url, sha256) == path and server.requests == 1


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"body": b"x" * 900, "announced": 1000}, "900 bytes came, expected 1,000"),
        ({"body": b"<html>log in first</html>"}, "25 bytes came, expected 1,000"),
        ({"body": b"x" * 500_000}, "expected 1,000"),  # it is not read to its end
        ({"body": b"y" * 1000}, "SHA-256"),
        ({"body": BODY, "status": 404}, "404"),
    ],
)
def test_a_bad_download_leaves_nothing(tmp_path, server, reason):
    with Server(**server) as served, pytest.raises(UserError, match=reason) as caught:
        download(tmp_path, served.url)
    assert "--file PATH" in str(caught.value) and served.url in str(caught.value)
    assert files_in(tmp_path) == []


def test_no_network_no_home_folder_and_no_encryption_say_what_to_do(tmp_path, monkeypatch):
    with Server(b"") as server:
        url = server.url
    with pytest.raises(UserError, match=r"download failed \(.*--file PATH"):
        download(tmp_path, url)
    plain = io.BytesIO(BODY)
    plain.url = "http://elsewhere/file.bin"
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: plain)
    with pytest.raises(UserError, match="not encrypted"):
        download(tmp_path, "https://here/file.bin")
    assert files_in(tmp_path) == []
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UserError, match="no home folder.*--file PATH"):
        download(type(tmp_path)("~"), url)
