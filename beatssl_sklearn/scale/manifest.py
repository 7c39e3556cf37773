"""What a job is: written into its folder first, and compared before a folder is used again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._version import __version__
from ..files.atomic import write_atomically
from .given_records import GivenRecords
from .kinds import Kind

# Readers of Parquet folders leave out names that begin so.
MANIFEST = "_manifest.json"
FORMAT = 1
# How messages call what may differ.
_WORDS = {
    "format": "the format of the folder",
    "version": "the version of beatssl_sklearn",
    "task": "the task",
    "model.digest": "the model (digest)",
    "shard_size": "shard_size",
    "batch_size": "batch_size",
    "records.number": "the number of records",
    "records.ids": "the names of the records (digest)",
    "records.patients": "the patients (digest)",
    "settings.fs": "the rate of arrays, fs",
}
_OF_SAMPLES = {"shape": "the shape", "rate": "the rate [Hz]", "leads": "the leads", "signal": "the signal (digest)"}


def make_manifest(kind: Kind, records: GivenRecords, shard_size: int, batch_size: int) -> dict[str, Any]:
    """Return the manifest of a job: all that decides about its numbers, and about which shard has which records."""
    settings = {name: _plain(value) for name, value in sorted(kind.settings().items())}
    return {
        "format": FORMAT,
        "version": __version__,
        "task": kind.task,
        "model": {"digest": kind.model_digest()},
        "settings": settings,
        "shard_size": shard_size,
        "batch_size": batch_size,
        "records": records.fingerprint(),
    }


def _plain(value: Any) -> Any:
    """Return a parameter as JSON would give it back."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def manifest_digest(manifest: dict[str, Any]) -> str:
    """Return the digest by which shards know their job.

    A record of the three that are sampled may be unreadable at one time and not at another: they do not count.
    """
    counted = {**manifest, "records": {k: v for k, v in manifest["records"].items() if k != "samples"}}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a job into its folder."""
    write_atomically(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest in a folder; None if there is none.

    Raises
    ------
    ValueError
        If it cannot be read as one.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = json.loads(content)
        numbers = (manifest["records"]["number"], manifest["shard_size"])
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise TypeError("numbers are missing")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / MANIFEST} is damaged; overwrite=True begins anew") from error
    assert isinstance(manifest, dict)
    return manifest


def check_same(folder: Path, there: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with another job.

    Raises
    ------
    ValueError
        Names all that differs.
    """
    differing = list(_differences(there, now))
    if differing:
        raise ValueError(
            f"{folder} holds another job: {'; '.join(differing)}. Choose another folder, or overwrite=True to begin "
            f"anew"
        )


def _differences(there: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    old, new = dict(_flat(there)), dict(_flat(now))
    for path in sorted({*old, *new}):
        sample = path.split(".")[:3] if path.startswith("records.samples.") else None
        # A sampled record that could not be read, then or now, says nothing.
        known = sample is None or all(sample[2] in m["records"].get("samples", {}) for m in (there, now))
        if known and old.get(path) != new.get(path):
            yield f"{_called(path)} is {new.get(path)!r:.80}, was {old.get(path)!r:.80}"


def _called(path: str) -> str:
    if path.startswith("records.samples."):
        _, _, row, what = path.split(".")
        return f"{_OF_SAMPLES.get(what, what)} of record {row}"
    return _WORDS.get(path) or path.removeprefix("settings.")


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, part in value.items():
        if isinstance(part, dict) and part:
            yield from _flat(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", part
