"""Weights from the Hugging Face hub: files like others, once the hash is what the hub states."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lightmobile.errors import UsageError

if TYPE_CHECKING:
    from lightmobile.models.registry import ModelFacts

__all__ = ["Download", "download"]

_FILE = "model.safetensors"
_SECONDS = 10.0


class Download(NamedTuple):
    """A checkpoint from the hub.

    Attributes
    ----------
    name
        ``repository@commit/model.safetensors``.
    """

    path: Path
    name: str


def download(facts: ModelFacts) -> Download:
    """Return the published weights of a model, from the hub or from what it left on this disk.

    Raises
    ------
    UsageError
        There are none, the hub cannot be reached or does not have them, the file is not the one
        that it states, or huggingface_hub is not installed.
    """
    if not facts.pretrained:
        raise UsageError(f"No published weights of {facts.name} are known", fix=_OTHERWISE)
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise UsageError(
            f"The module {error.name} is missing, which fetches published weights",
            fix='pip install "lightmobile[hub]"',
        ) from None
    repository = facts.pretrained
    try:
        url = hub.hf_hub_url(repository, _FILE)
        stated = hub.get_hf_file_metadata(url, timeout=_SECONDS)
        commit, sha256 = stated.commit_hash, stated.etag
        path = Path(hub.hf_hub_download(repository, _FILE, revision=commit, etag_timeout=_SECONDS))
    except Exception as error:  # noqa: BLE001 - of its HTTP library, its own, or the system's
        raise _unavailable(repository, error) from None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise UsageError(
            f"{path} is not the file that the hub states",
            why=f"Its SHA-256 is {found[:12]}…, stated is {sha256!r}",
            fix="Remove it and try again",
        )
    return Download(path, f"{repository}@{commit}/{_FILE}")


_OTHERWISE = "Give a file of weights with --checkpoint"


def _unavailable(repository: str, error: Exception) -> UsageError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    why = f"{type(error).__name__}: {lines[0][:200] if lines else ''}".rstrip(": ")
    return UsageError(
        f"The weights {repository} cannot be fetched from the hub",
        why=why,
        fix=f"Is this machine online? {_OTHERWISE}",
    )
