"""Prepares a manifest: every image decoded, cropped and resized once, kept as 16-bit PNG in one folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_monai import __version__
from mammo_monai.data.prepared_folder import (
    IMAGES,
    check_out,
    copies_in,
    locked,
    remove_leftovers,
    stale_copies,
)
from mammo_monai.data.prepared_image import (
    Failed,
    Prepared,
    Task,
    file_stem,
    known_sha256,
    preparation_key,
    prepare_image,
    prepared_already,
    prepared_path,
)
from mammo_monai.errors import ManifestError
from mammo_monai.files import in_words
from mammo_monai.pace import Pace
from mammo_monai.processes import DIED, WorkerPool
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Action, Finding, Manifest, Quarantined, write_audit, write_manifest
from mammo_monai.schema.manifest import MANIFEST_NAME
from mammo_monai.transforms import Recipe
from mammo_monai.words import bytes_text, counted

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
CRASHED = "prepare-crashed"
MEASURED = 8  # images prepared first, to tell how much room all will need
SPARE_SHARE, SPARE_BYTES = 0.1, 64 << 20  # free space asked for beyond the estimate


@dataclass(frozen=True)
class PreparedSet:
    """What `prepare_manifest` left in its folder.

    Attributes:
        path: the prepared manifest. made, kept: images prepared now, and found prepared.
        n_bytes: of all images in the manifest.
        stale, pruned: prepared images no list names, still there, and deleted.
    """

    path: Path
    made: int
    kept: int
    n_bytes: int
    failed: tuple[Failed, ...]
    stale: int
    pruned: int


def prepare_manifest(
    manifest: Manifest,
    out: Path,
    recipe: Recipe,
    *,
    workers: int = 1,
    prune: bool = False,
    on_progress: Progress | None = None,
) -> PreparedSet:
    """Prepares every image of a manifest; `out/manifest.json` then stands for the original in every command.

    Images already in `out` with the same source, recipe and version are kept, so a run that was stopped goes
    on. Each file is whole or not there; the manifest comes last. An image that cannot be read is quarantined:
    a row in audit.csv, an entry in the manifest, a WARNING; the others go on.

    Args:
        manifest: of original images. recipe: see `image_recipe`; training must ask for the same.
        workers: processes, see `WorkerPool`.
        prune: delete prepared images of other recipes from `out`; not those of images that fail now.
        on_progress: called with (images finished, images), first with those found finished; None logs a
            line every ten seconds.

    Raises:
        ManifestError: a prepared manifest, an `out` that holds another manifest or is in use, or no image
            that can be prepared.
        OSError: `out` cannot be written, or has not the room; finished images stay.
    """
    out = Path(out).absolute()
    check_out(manifest, out)
    with locked(out):
        remove_leftovers(out)
        kept, tasks = _divided(manifest.images(), out, recipe)
        made: list[Prepared] = []
        failed: list[Failed] = []
        report = on_progress or Pace(logger, "prepared", before=len(kept) + 1)  # workers start only once
        total = len(kept) + len(tasks)
        report(len(kept), total)
        try:
            for each in _prepared(out, tasks, workers):
                (made if isinstance(each, Prepared) else failed).append(each)  # type: ignore[arg-type]
                report(len(kept) + len(made) + len(failed), total)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{in_words(error)} {len(kept) + len(made)} of {counted(total, 'image')} are prepared and "
                "stay; the same command goes on from there.",
            ) from error
        failed.sort(key=lambda each: each.record_id)
        used = [*kept, *made]
        _check_place(out, used)
        _write(manifest, out, recipe, {each.record_id: each for each in [*kept, *made]}, failed)
        _check_place(out, used)
        stale = stale_copies(
            out, [each.path for each in used], spared=[file_stem(each.record_id) for each in failed]
        )
        pruned = _pruned(stale) if prune else 0
    size = sum(each.n_bytes for each in used)
    logger.info(
        "%s: %s made, %d kept, %s",
        out / MANIFEST_NAME,
        counted(len(made), "image"),
        len(kept),
        bytes_text(size),
    )
    return PreparedSet(
        out / MANIFEST_NAME, len(made), len(kept), size, tuple(failed), len(stale) - pruned, pruned
    )


def _prepared(out: Path, tasks: Sequence[Task], workers: int) -> Iterator[Prepared | Failed]:
    """Results in order; after the first few, only if there is room for the others."""
    n_workers = min(workers, max(1, len(tasks)))
    if n_workers < workers:
        logger.info("%d of %d processes are started: one an image is enough", n_workers, workers)
    with WorkerPool(prepare_image, n_workers, _crashed) as pool:
        probes, others = _probes_first(tasks)
        sizes: list[int] = []
        for each in pool.results(probes):
            sizes += [each.n_bytes] if isinstance(each, Prepared) else []
            yield each
        _check_room(out, sizes, len(others))
        yield from pool.results(others)


def _divided(records: Sequence[ImageRecord], out: Path, recipe: Recipe) -> tuple[list[Prepared], list[Task]]:
    """What is prepared already, and what is to do; no original is read for it."""
    copies = copies_in(out)
    kept: list[Prepared] = []
    tasks: list[Task] = []
    for record in records:
        sha256 = known_sha256(record, copies)
        found = None
        if sha256 is not None:
            key = preparation_key(record, recipe, sha256)
            found = prepared_already(
                prepared_path(out / IMAGES, record.record_id, key), record.record_id, key
            )
        if found is None:
            tasks.append(Task(record, out / IMAGES, recipe, sha256))
        else:
            kept.append(found)
    return kept, tasks


def _probes_first(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """Some tasks from all over the list, then the others."""
    step = max(1, len(tasks) // MEASURED)
    probes = set(range(0, len(tasks), step)[:MEASURED])
    return [tasks[n] for n in sorted(probes)], [task for n, task in enumerate(tasks) if n not in probes]


def _check_room(out: Path, sizes: Sequence[int], remaining: int) -> None:
    if not sizes or not remaining:
        return
    need = sum(sizes) / len(sizes) * remaining
    free = shutil.disk_usage(out).free
    if need * (1 + SPARE_SHARE) + SPARE_BYTES > free:
        raise OSError(
            f"{out}: {counted(remaining, 'image')} to prepare, about {bytes_text(need)} (measured on "
            f"{len(sizes)}), {bytes_text(free)} are free. Make room (--prune deletes copies of other "
            "recipes once all are prepared) or choose another --out."
        )
    logger.info(
        "%s to prepare, about %s; %s are free",
        counted(remaining, "image"),
        bytes_text(need),
        bytes_text(free),
    )


def _check_place(out: Path, used: Sequence[Prepared]) -> None:
    """The images are where the manifest will say: a share may be gone, a folder moved."""
    if gone := sum(not each.path.is_file() for each in used):
        raise ManifestError(
            f"{out}: {gone} of {len(used)} prepared images are gone: the folder was moved, removed or "
            "unmounted while it was written. See that it is there again, and start the same command: it goes "
            "on from there."
        )


def _write(
    manifest: Manifest,
    out: Path,
    recipe: Recipe,
    prepared: Mapping[str, Prepared],
    failed: Sequence[Failed],
) -> None:
    images = {record.record_id: record.image for record in manifest.images()}
    findings = [Finding(each.code, each.record_id, each.found, Action.QUARANTINED) for each in failed]
    for each in failed:
        logger.warning("left out: %s", each.reason)
    if prepared or not (out / MANIFEST_NAME).exists():  # else that manifest still stands, and so its audit
        write_audit(out / "audit.csv", MANIFEST_NAME, findings)
    if not prepared:
        raise ManifestError(
            f"{manifest.path}: none of {counted(len(images), 'image')} can be prepared; the first: "
            f"{failed[0].reason}"
        )
    training, validation, test = (
        tuple(
            _prepared_record(record, prepared[record.record_id], recipe)
            for record in manifest.images(split)
            if record.record_id in prepared
        )
        for split in (Split.TRAINING, Split.VALIDATION, Split.TEST)
    )
    left_out = tuple(Quarantined(each.record_id, each.code, images[each.record_id]) for each in failed)
    how = {"recipe": recipe.as_json(), "software": f"mammo-monai {__version__}"}
    whole = Manifest(
        training,
        validation,
        test,
        quarantined=(*manifest.quarantined, *left_out),
        about={**manifest.about, "prepared": how},
    )
    write_manifest(out / MANIFEST_NAME, whole)


def _prepared_record(record: ImageRecord, prepared: Prepared, recipe: Recipe) -> ImageRecord:
    return replace(
        record,
        image=prepared.path,
        file_size=prepared.n_bytes,
        sha256=None,
        prepared={"recipe": recipe.as_json(), "key": prepared.key},
    )


def _pruned(stale: Sequence[Path]) -> int:
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def _crashed(task: Task) -> Failed:
    return Failed(
        task.record.record_id,
        DIED,
        f"{task.record.image}: {DIED}. Copy it again, or use fewer --workers.",
        CRASHED,
    )
