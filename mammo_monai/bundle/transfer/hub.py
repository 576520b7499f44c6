"""A bundle in a model repository of the Hugging Face hub, unpacked, as other tools read bundles there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mammo_monai.bundle.packing.bundle_files import FolderFiles, sha256_in
from mammo_monai.bundle.packing.model_card import CARD
from mammo_monai.bundle.packing.record import MAX_RECORD_BYTES, RECORD, PackRecord, parse_record
from mammo_monai.bundle.transfer.places import HubPlace
from mammo_monai.errors import BundleError
from mammo_monai.words import bytes_text, counted

TOKEN = "HF_TOKEN"  # the variable's name
# The hub's own, and the card it shows: a copy of docs/README.md.
_NOT_OURS = (".gitattributes", "README.md")


def push_to_hub(folder: Path, record: PackRecord, place: HubPlace, *, is_replacing: bool) -> bool:
    """Makes a repository's files those of an unpacked pack, in one commit; False if they were already.

    The repository is made, private, where there is none.

    Raises:
        BundleError: huggingface_hub is not installed, the hub refuses, or the repository holds another pack,
            or files that are none, and `is_replacing` is not set.
    """
    with _hub(place) as (api, hub):
        api.create_repo(place.repository, private=True, exist_ok=True)
        info = api.repo_info(place.repository, revision=place.revision)
        there = {each.rfilename for each in info.siblings or ()}
        if RECORD in there and not is_replacing:
            other = api.hf_hub_download(
                place.repository, RECORD, revision=place.revision, local_dir=folder.parent / "there"
            )
            if Path(other).read_bytes() == record.text().encode():
                return False
            raise BundleError(
                f"hf://{place.repository}: holds another pack. --replace puts this one in its place; the "
                "repository's history keeps the old one."
            )
        if (others := sorted(there - {*_NOT_OURS})) and not is_replacing:
            raise BundleError(
                f"hf://{place.repository}: holds {counted(len(others), 'file')} of no pack, such as "
                f"{others[0]}. Name another repository; --replace removes them, its history keeps them."
            )
        own = [RECORD, *record.files]
        operations = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in own
        ]
        operations.append(hub.CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=folder / CARD))
        stale = sorted(there - {*own, *_NOT_OURS})
        operations += [hub.CommitOperationDelete(path_in_repo=name) for name in stale]
        message = f"{record.bundle} {record.version}"
        api.create_commit(place.repository, operations, commit_message=message, revision=place.revision)
    return True


def pull_from_hub(
    place: HubPlace, work: Path, *, limit_bytes: int, progress: Callable[[int, int], None]
) -> Path:
    """The files that a repository's record names, all of one commit, in a folder below `work`.

    Files that an earlier run fetched, and that are what the record says, are not fetched again.

    Raises:
        BundleError: huggingface_hub is not installed, the hub refuses, the repository holds no pack, or a
            larger one than the limit.
    """
    with _hub(place) as (api, _):
        info = api.repo_info(place.repository, revision=place.revision, files_metadata=True)
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
        if RECORD not in sizes or sizes[RECORD] > MAX_RECORD_BYTES:
            raise BundleError(
                f"hf://{place.repository}: no {RECORD}: not pushed by `mammo-monai bundle push`."
            )
        incoming, folder = work / "hub", work / "assembled"

        def get(name: str) -> Path:
            return Path(api.hf_hub_download(place.repository, name, revision=info.sha, local_dir=incoming))

        text = get(RECORD).read_bytes()
        record = parse_record(text, f"hf://{place.repository}, {RECORD}")
        total = sum(each.bytes for each in record.files.values())
        if total > limit_bytes:
            limit = bytes_text(limit_bytes)
            raise BundleError(f"hf://{place.repository}: {bytes_text(total)}, expected at most {limit}.")
        root, done = folder / record.bundle, 0
        root.mkdir(parents=True, exist_ok=True)
        (root / RECORD).write_bytes(text)
        for name, packed in record.files.items():
            if name not in sizes or sizes[name] != packed.bytes:
                raise BundleError(f"hf://{place.repository}: {name} is missing, or not as long as recorded.")
            if not _is_there(root, name, packed.sha256):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(get(name), root / name)
            done += packed.bytes
            progress(done, total)
    return root


def _is_there(root: Path, name: str, sha256: str) -> bool:
    return (root / name).is_file() and sha256_in(FolderFiles(root), name) == sha256


@contextmanager
def _hub(place: HubPlace) -> Iterator[tuple[Any, Any]]:
    """The hub's client and module; whatever it raises becomes one line without the token."""
    try:
        import huggingface_hub  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise BundleError(
            "hf:// needs the package huggingface_hub: pip install 'mammo-monai[hub]'."
        ) from error
    # Only from the environment: never the file that a login left on this machine.
    token = os.environ.get(TOKEN)
    api = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token or False)
    try:
        yield api, huggingface_hub
    except BundleError:
        raise
    except Exception as error:
        # Its errors come from three packages; what matters to a user is the first line.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hidden = reason.replace(token, "…") if token else reason
        raise BundleError(
            f"hf://{place.repository}: {hidden.rstrip('.')}. A token is read from the environment, {TOKEN}."
        ) from (None if token and token in str(error) else error)
