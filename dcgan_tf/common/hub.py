"""Download from the Hugging Face hub and upload to it; HF_ENDPOINT names another server."""

import contextlib
import logging
import os
import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, not_installed, one_line

PREFIX = "hf:"  # before USER/NAME where a path or the name of bundled networks could stand too
_PLACE = r"hf:((?:[A-Za-z]:[\\/])?[^:]*)"  # a name or a path, on Windows with a drive
_DATA = re.compile(_PLACE + r"(?::((?:[^:\[]|\[[^\]]*\])*))?(?::(.*))?", re.DOTALL)


def split_data(data: str) -> tuple[str, str, str]:
    """Split `hf:NAME[:SPLIT[:COLUMN]]`, a value of --data; "" for a part that is left out."""
    match = _DATA.fullmatch(data)
    return (match[1], match[2] or "", match[3] or "") if match else (data, "", "")


def change_path(data: str, change: Callable[[str], str]) -> str:
    """Change the path in a value of --data, PATH or `hf:PATH:SPLIT:COLUMN`."""
    if not data.startswith(PREFIX):
        return change(data)
    name = split_data(data)[0]
    return PREFIX + change(name) + data[len(PREFIX + name) :] if name else data


def check_repository(name: str, flag: str) -> Any:
    """Check the name of a repository, and that the hub's library is installed; return that."""
    if not re.fullmatch(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", name, re.ASCII):
        raise UserError(f"got {limits.shown(name)}, expected USER/NAME", flag=flag)
    if not find_spec("huggingface_hub"):
        raise not_installed("huggingface_hub", "hub", f"{flag} {name}".strip())
    library = import_module("huggingface_hub")
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # two lines for each try
    try:
        import_module("huggingface_hub.utils").validate_repo_id(name)
    except ValueError as error:  # such as a name with two dashes, or one that ends in .git
        words = f"got {limits.shown(name)}, expected USER/NAME ({one_line(error)})"
        raise UserError(words, flag=flag) from None
    return library


def download(named: str, file: str, flag: str) -> Path:
    """Download a file of `hf:USER/NAME` into the hub's cache, unless it is there.

    Raises:
        UserError: a wrong name, no such repository or file, or no connection.
    """
    name = named.removeprefix(PREFIX)
    hub, endpoint = check_repository(name, flag), os.environ.get("HF_ENDPOINT")
    where = f"{flag} {named}".strip()
    absent = f"no such repository, or no {file} in it"
    words = {403: "this token may not read it; ask for access on its page", 404: absent}
    with _refusing(where, words):
        hub.utils.disable_progress_bars()
        try:
            size = hub.get_hf_file_metadata(hub.hf_hub_url(name, file, endpoint=endpoint)).size
        except Exception as error:
            cached = hub.try_to_load_from_cache(name, file)
            if status_of(error) in (401, *words) or not isinstance(cached, str):
                raise
            return Path(cached)  # there is no connection
        if (size or 0) > limits.NETWORK_BYTES:
            most = limits.in_words(limits.NETWORK_BYTES)
            raise UserError(f"its {file} is larger than {most}", flag=where)
        return Path(hub.hf_hub_download(name, file, endpoint=endpoint))


def check_push(name: str, flag: str):
    """Refuse an upload that cannot succeed, before minutes of work."""
    if not check_repository(name, flag).get_token():
        raise UserError(
            "there is no token for the hub; run: hf auth login, or set HF_TOKEN",
            flag=f"{flag} {name}",
        )


def push(folder: Path, name: str, flag: str, own: list[str]) -> str:
    """Upload a folder as a commit to a repository, which is made if need be; return its URL.

    Files there that the folder lacks are removed if their names are among `own`; others stay.

    Raises:
        UserError: the token is refused or may not write there, or the connection fails.
    """
    hub = check_repository(name, flag)
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    words = {403: "this token may not write there", 404: "no such repository"}
    with _refusing(f"{flag} {name}", words, f"; the folder is whole: {folder}"):
        hub.utils.disable_progress_bars()
        url = api.create_repo(name, exist_ok=True)
        commit = {"commit_message": "Upload a generator", "delete_patterns": own}
        api.upload_folder(repo_id=name, folder_path=folder, **commit)
    return str(url)


@contextlib.contextmanager
def _refusing(where, words, more=""):
    """Turn an error of the hub, by its status in `words`, or of the connection into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library raises its own errors and those of its HTTP client
        words = words | {401: "no such repository, or a token that is missing or refused"}
        failed = f"the hub failed ({limits.shorten(one_line(error), 300)})"
        raise UserError(f"{words.get(status_of(error), failed)}{more}", flag=where) from None


def status_of(error):
    return getattr(getattr(error, "response", None), "status_code", 0)
