"""Models on a model hub: a file of `save` and a card in a repository, and back through the checks of `load`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._optional import import_optional
from .._version import __version__
from .card import model_card
from .model_file import load, save

__all__ = ["MODEL_FILE", "from_pretrained", "push_to_hub"]

MODEL_FILE = "model.bssl"
"""Name of the model's file in its repository."""
_PACKAGE = "beatssl_sklearn"
# What the hub's client would take wrongly, or refuse without the parameter's name. None is the default of most.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("revision", "endpoint", "digest", "message"), ((str,), "a str")),
    "token": ((str, bool), "a str or a bool"),
    **dict.fromkeys(("card", "cache_dir"), ((str, os.PathLike), "a str or a path")),
    **dict.fromkeys(("half", "private", "local_files_only"), ((bool,), "True or False")),
}


def push_to_hub(
    model: Any,
    repo_id: str,
    *,
    card: str | os.PathLike[str] | None = None,
    half: bool = False,
    private: bool | None = None,
    revision: str | None = None,
    message: str = "Model of beatssl_sklearn",
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> str:
    """Save a fitted estimator, and put its file and its card into a repository of a model hub, in one commit.

    It needs the extra ``[hub]``. The repository is made if it does not exist. Nothing but the two files is sent.

    Parameters
    ----------
    model : estimator
        Fitted; whatever `save` takes.
    repo_id : str
        Repository, as "owner/name".
    card : str, path or None
        The model card, as Markdown text or as the path of a file. None writes one that says what the model takes, and
        how to load it. "For research only" is put at the end of a card that does not say so.
    half : bool
        As for `save`.
    private : bool or None
        Whether a repository that is made is private; None is the hub's default.
    revision : str or None
        Branch to commit to, which must exist; None is the main one.
    message : str
        The commit's message.
    token : str, bool or None
        As for `huggingface_hub.HfApi`; None is the token that is stored on this machine.
    endpoint : str or None
        Address of the hub; None is that of `huggingface_hub`: the variable ``HF_ENDPOINT``, or the public hub.

    Returns
    -------
    str
        Hash of the commit. `from_pretrained` with it as `revision` loads this model, whatever is pushed later.

    Raises
    ------
    ImportError
        If `huggingface_hub` is missing.
    NotFittedError, TypeError, ValueError
        If the model cannot be saved; `repo_id` has no such form; the card is empty or has no valid header; a parameter
        has the wrong type.
    OSError
        If the hub cannot be reached or refuses.
    """
    hub = import_optional("huggingface_hub", "push_to_hub", "hub")
    _check_repo_id(repo_id)
    _check_types(
        card=card, half=half, private=private, revision=revision, message=message, token=token, endpoint=endpoint
    )
    if not message:
        raise ValueError("message must not be empty")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MODEL_FILE
        save(model, file, half=half)
        content = file.read_bytes()
    text = model_card(model, repo_id, _sha256(content), card)
    api = hub.HfApi(endpoint=endpoint, token=token, library_name=_PACKAGE, library_version=__version__)
    files = [
        hub.CommitOperationAdd(path_in_repo=MODEL_FILE, path_or_fileobj=content),
        hub.CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=text.encode("utf-8")),
    ]
    with _explained(repo_id, revision, "push to"):
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.create_commit(repo_id, files, commit_message=message, revision=revision)
    return str(commit.oid)


def from_pretrained(
    repo_id: str,
    *,
    revision: str | None = None,
    digest: str | None = None,
    filename: str = MODEL_FILE,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> Any:
    """Load a model from a repository of a model hub.

    It needs the extra ``[hub]``. One file is downloaded, kept in a cache on this machine, and read by `load`, with the
    checks of every file: nothing in it is executed. No other file of the repository is looked at, least of all a
    pickle or code.

    Parameters
    ----------
    repo_id : str
        Repository, as "owner/name".
    revision : str or None
        Branch, tag or hash of a commit; None is the newest of the main branch. Only a hash is the same file for ever:
        owners can move branches and tags.
    digest : str or None
        SHA-256 of the file in hexadecimal digits, as the card has it. A file with another one is refused.
    filename : str
        The file in the repository; it ends in ".bssl".
    cache_dir : path or None
        Folder of downloads; None is that of `huggingface_hub`.
    local_files_only : bool
        Whether to take what the cache has, and to open no connection.
    token : str, bool or None
        As for `huggingface_hub.hf_hub_download`; None is the token that is stored on this machine.
    endpoint : str or None
        Address of the hub; None is that of `huggingface_hub`: the variable ``HF_ENDPOINT``, or the public hub.

    Returns
    -------
    estimator
        As it was pushed.

    Raises
    ------
    ImportError
        If `huggingface_hub` is missing.
    OSError
        If there is no such repository, revision or file, or the hub cannot be reached and the cache has no such file.
    TypeError, ValueError
        If `repo_id` or `filename` has no such form, a parameter has the wrong type, the file has another digest, or it
        is none that `load` takes.
    """
    hub = import_optional("huggingface_hub", "from_pretrained", "hub")
    _check_repo_id(repo_id)
    _check_types(
        revision=revision, digest=digest, cache_dir=cache_dir, local_files_only=local_files_only, token=token,
        endpoint=endpoint,
    )  # fmt: skip
    if not isinstance(filename, str) or not filename.endswith(".bssl") or "\0" in filename:
        raise ValueError(f"filename must end in '.bssl', got {filename!r:.120}; no other file is read from a hub")
    with _explained(repo_id, revision, f"load {filename!r} from"):
        path = hub.hf_hub_download(
            repo_id,
            filename,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
            endpoint=endpoint,
            library_name=_PACKAGE,
            library_version=__version__,
        )
    if digest is not None:
        found = _sha256(Path(path).read_bytes())
        if found != digest.lower():
            raise ValueError(f"{filename!r} of {repo_id!r} has the SHA-256 digest {found}, not digest={digest!r:.80}")
    return load(Path(path))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_repo_id(repo_id: Any) -> None:
    if not isinstance(repo_id, str) or len([part for part in repo_id.split("/") if part.strip()]) != 2:
        raise ValueError(f"repo_id must be the name of a repository, 'owner/name', got {repo_id!r:.120}")


def _check_types(**given: Any) -> None:
    for name, value in given.items():
        types, words = _TYPES[name]
        if value is not None and not isinstance(value, types):
            raise TypeError(f"{name} must be {words}, got {value!r:.80}")


@contextmanager
def _explained(repo_id: str, revision: str | None, doing: str) -> Iterator[None]:
    """Turn what the hub's client raises into OSError or ValueError, in words."""
    errors = import_optional("huggingface_hub.errors", "a model hub", "hub")
    # The HTTP client differs between versions of huggingface_hub; the first base of this error is the client's own.
    client_error = errors.HfHubHTTPError.__bases__[0]
    at = f"{repo_id!r}" + (f" at the revision {revision!r}" if revision else "")
    failed = f"cannot {doing} {at}"
    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(f"repo_id={repo_id!r:.120} is no name of a repository: {error}") from error
    except errors.GatedRepoError as error:
        raise PermissionError(f"{failed}: its owner must grant you access, and the call needs your token") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{failed}: there is no such repository, or it is private and the call needs your token"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{failed}: there is no such revision") from error
    except errors.LocalEntryNotFoundError as error:
        raise OSError(f"{failed}: the hub was not reached, and the cache of this machine has no such file") from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(f"{failed}: the repository has no such file") from error
    except errors.OfflineModeIsEnabled as error:
        raise OSError(f"{failed}: the variable HF_HUB_OFFLINE is set") from error
    except client_error as error:
        raise OSError(f"{failed}: {error!s:.300}") from error
