"""Keeps reviews on disk: one file per image, whole after every change, and no change over another's."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from mammo_monai.files import write_json_atomic
from mammo_monai.locks import LockHeldError, file_lock, stands_at
from mammo_monai.schema.fields import load_json
from mammo_monai.service.review.marks import (
    ImageReview,
    ReviewError,
    fresh_review,
    review_from_json,
    review_json,
    saved,
)
from mammo_monai.service.review.worklist import ReviewImage, Worklist

FOLDER_SCHEMA, IMAGE_SCHEMA = "mammo-monai/review/1", "mammo-monai/image-review/1"
ABOUT, MARKS, LOCK = "review.json", "marks", ".lock"


class ConflictError(ReviewError):
    """A change of a review that somebody else has changed since; `current` is what is saved."""

    def __init__(self, message: str, current: ImageReview) -> None:
        super().__init__(message)
        self.current = current


@dataclass(frozen=True)
class _Known:
    fresh: ImageReview
    review: ImageReview


class ReviewStore:
    """The reviews of a worklist in a folder; a context manager that keeps other servers out of it.

    The detections are never written. A file is the authority: it is replaced whole, after a check that the
    change was made to what it holds.

    Args:
        threshold: score from which marks are shown on an image nobody has changed.

    Raises:
        ReviewError: the folder holds a review of other detections, another server works in it, or a file of
            it is damaged; the message names it.
    """

    def __init__(self, folder: Path, worklist: Worklist, *, threshold: float) -> None:
        self.folder = folder
        self._worklist = worklist
        self._threshold = threshold
        self._lock = threading.Lock()
        self._claim = ExitStack()
        self._descriptor = -1
        self._known: list[_Known] = []

    def __enter__(self) -> ReviewStore:
        try:
            self._descriptor = self._claim.enter_context(file_lock(self.folder / LOCK))
        except LockHeldError as error:
            raise ReviewError(
                f"{self.folder}: another `mammo-monai review` is working in this folder ({error.holder}). "
                "Use its page, or stop it."
            ) from error
        try:
            self._check_about()
            self._known = [self._read(image) for image in self._worklist.images]
        except BaseException:
            self._claim.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._claim.close()

    def review(self, number: int) -> ImageReview:
        """The saved review of an image, by its number."""
        return self._known[number].review

    def save(self, number: int, content: object) -> ImageReview:
        """Saves a changed review as the page sends it; returns it under its new revision.

        Raises:
            ReviewError: the change breaks a rule; nothing is written.
            ConflictError: the review was changed since the one this is a change of; nothing is written.
            OSError: the disk is full or read-only, or the folder is gone; what was saved before stands.
        """
        image = self._worklist.images[number]
        with self._lock:
            known = self._known[number]
            size = (image.width, image.height)
            sent = review_from_json(f"image {number + 1}", content, fresh=known.fresh, size=size)
            if sent.revision != known.review.revision:
                who = f" by {known.review.reader}" if known.review.reader else ""
                raise ConflictError(
                    f"Image {number + 1} was changed in another window{who}: this change is of revision "
                    f"{sent.revision}, revision {known.review.revision} is saved. Nothing was overwritten.",
                    known.review,
                )
            self._check_place()
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            review = saved(sent, revision=sent.revision + 1, changed_at=now)
            content = {"schema": IMAGE_SCHEMA, "record_id": image.record_id, **review_json(review)}
            write_json_atomic(self._file(image), content)
            self._known[number] = _Known(known.fresh, review)
        return review

    def _check_place(self) -> None:
        """Without its review.json beside it a saved file would be lost to the next server."""
        if not stands_at(self.folder / LOCK, self._descriptor):
            raise OSError(
                f"could not write {self.folder}: it was moved, removed or unmounted. Nothing was saved; see "
                "that it is there again, and start `mammo-monai review` anew."
            )

    def _file(self, image: ReviewImage) -> Path:
        return self.folder / MARKS / f"{image.plain_name}.json"

    def _read(self, image: ReviewImage) -> _Known:
        fresh, path = fresh_review(image.detections, self._threshold), self._file(image)
        if not path.exists():
            return _Known(fresh, fresh)
        content = load_json(path, IMAGE_SCHEMA)
        review = review_from_json(str(path), content, fresh=fresh, size=(image.width, image.height))
        return _Known(fresh, review)

    def _check_about(self) -> None:
        path, mine = self.folder / ABOUT, self._about()
        if not path.exists():
            if any(self.folder.glob(f"{MARKS}/*.json")):
                raise ReviewError(f"{path}: missing, though {MARKS}/ holds reviews. Choose another --out.")
            write_json_atomic(path, mine)
            return
        found = load_json(path, FOLDER_SCHEMA)
        if found.get("sha256") != mine["sha256"]:
            raise ReviewError(
                f"{self.folder} holds a review of other detections ({found.get('detections')}, SHA-256 "
                f"{str(found.get('sha256'))[:16]} …, got {str(mine['sha256'])[:16]} …). Choose another --out."
            )

    def _about(self) -> Mapping[str, object]:
        return {
            "schema": FOLDER_SCHEMA,
            "detections": self._worklist.source.name,
            "sha256": self._worklist.sha256,
            "model": dict(self._worklist.model),
        }
