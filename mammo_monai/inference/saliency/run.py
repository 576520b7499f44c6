"""Explains the best findings on every image of a data set and writes their pictures; goes on after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammo_monai import __version__
from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.inference.saliency.check import SanityCheck, sanity_check
from mammo_monai.inference.saliency.check_files import save_check, save_strip
from mammo_monai.inference.saliency.explain import Explainer, Finding, Question
from mammo_monai.inference.saliency.files import film_in_original, is_finished, save_finding, unit_of
from mammo_monai.inference.saliency.frames import map_in_original
from mammo_monai.inference.saliency.methods import MethodOptions, saliency_map
from mammo_monai.inference.sources import Sample, Samples
from mammo_monai.pace import Pace
from mammo_monai.records import Detections
from mammo_monai.reports.saliency.notes import SaliencyNote
from mammo_monai.reports.saliency.page import write_saliency_page
from mammo_monai.reports.saliency.pictures import ExplainedFilm
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FindingChoice:
    """Which findings are explained.

    Attributes:
        top: the best of each image. min_score: and only from this score on. n_checked: of the first ones the
            sanity check is made.

    Raises:
        ValueError: `top` below 1, a score outside [0, 1], or `n_checked` below 0.
    """

    top: int = 3
    min_score: float = 0.0
    n_checked: int = 0

    def __post_init__(self) -> None:
        if self.top < 1 or self.n_checked < 0 or not 0 <= self.min_score <= 1:
            raise ValueError(
                "need top >= 1, min_score in [0, 1] and n_checked >= 0, "
                f"got {self.top}, {self.min_score} and {self.n_checked}."
            )


@dataclass(frozen=True, eq=False)
class SaliencyRun:
    """What was written: maps in all, how many of them lay there already, the page, and the checks."""

    n_images: int
    n_maps: int
    n_kept: int
    page: Path | None
    checks: tuple[SanityCheck, ...] = ()


def save_saliency(  # a model, images, findings and a place, each its own
    explainer: Explainer,
    dataset: Samples,
    folder: Path,
    *,
    options: MethodOptions | None = None,
    choice: FindingChoice | None = None,
    detections: Mapping[str, Detections] | None = None,
    model: Mapping[str, object] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SaliencyRun:
    """Writes maps of the best findings on each image, and an `index.html` over all of them.

    Findings whose files are there for the same model, method, image and box are not computed again.

    Args:
        dataset: samples with `image`, `frame`, `record_id`, `image_path`, as `Predictor` takes them.
        folder: for the files; made if it is not there.
        detections: by record id, what was marked; None lets the model mark. An image without an entry is
            passed over.
        model: for the notes: bundle, hash of the weights.
        on_progress: called with (done, total) images; None logs a line every ten seconds.

    Raises:
        ValueError: a finding that this model cannot explain; the message names the record.
        GeometryError: a film of another size than its record says. OSError: a file cannot be written.
        ManifestError: detections of none of the images.
    """
    choice, options = choice or FindingChoice(), options or MethodOptions()
    settings = {"explainer": explainer, "options": options, "software": __version__}
    base = fingerprint({**settings, "transform": getattr(dataset, "transform", None)})
    writer = _Writer(explainer, Path(folder), options, choice, dict(model or {}), base)
    raw = getattr(dataset, "data", dataset)
    asked = [n for n in range(len(raw)) if detections is None or raw[n]["record_id"] in detections]
    if not asked:
        raise ManifestError("the detections hold none of these images: give the images they were made from.")
    tell, start = on_progress or Pace(logger, tells_end=True), time.monotonic()
    logger.info("saliency of %s by %s", counted(len(asked), "image"), options.method)
    for done, index in enumerate(asked, start=1):
        sample = dataset[index]
        given = None if detections is None else detections[str(sample["record_id"])]
        writer.explain(sample, given)
        tell(done, len(asked))
    logger.info("%d maps in %.0f s, %d of them kept", writer.n_maps, time.monotonic() - start, writer.n_kept)
    check = save_check(writer.folder, writer.checks, options.method) if writer.checks else ""
    page = write_saliency_page(writer.folder, check=check) if writer.n_maps else None
    checks = tuple(each for _, each in writer.checks)
    return SaliencyRun(len(asked), writer.n_maps, writer.n_kept, page, checks)


class _Writer:
    """Explains the findings of one image after the other."""

    def __init__(  # what `save_saliency` was given
        self,
        explainer: Explainer,
        folder: Path,
        options: MethodOptions,
        choice: FindingChoice,
        model: Mapping[str, object],
        base: str,
    ) -> None:
        self.explainer, self.folder, self.options, self.choice = explainer, folder, options, choice
        self.model, self.base = model, base
        self.n_maps = self.n_kept = 0
        self.checks: list[tuple[SaliencyNote, SanityCheck]] = []

    def explain(self, sample: Sample, given: Detections | None) -> None:
        """Writes what is missing of an image's best findings."""
        record_id, image = str(sample["record_id"]), Path(sample["image_path"])
        every = self.explainer.findings(sample, given)
        chosen = [each for each in every if each.score >= self.choice.min_score][: self.choice.top]
        status = image.stat() if image.exists() else None
        stamp = None if status is None else (status.st_size, status.st_mtime_ns)
        film = None
        for finding in chosen:
            self.n_maps += 1
            own = fingerprint({"base": self.base, "record": record_id, "finding": finding, "image": stamp})
            wants_check = len(self.checks) < self.choice.n_checked
            is_kept = is_finished(self.folder, f"{record_id}_{finding.number}", own)
            self.n_kept += is_kept
            if is_kept and not wants_check:
                continue
            film = film_in_original(image) if film is None else film
            note = self._explained(sample, finding, film, own)
            logger.debug("record %s, finding %d: %s", record_id, finding.number, note.layer or note.method)

    def _explained(
        self,
        sample: Sample,
        finding: Finding,
        film: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        own: str,
    ) -> SaliencyNote:
        question = self._question(sample, finding)
        found = saliency_map(question.target, question.pixels, self.options)
        frame = question.frame
        if film.shape != (frame.height, frame.width):
            raise GeometryError(
                f"record {sample['record_id']}: the film has {film.shape[1]} × {film.shape[0]} px (width × "
                f"height), its record says {frame.width} × {frame.height}. Make the manifest again."
            )
        values = map_in_original(found.values, frame)
        shown = ExplainedFilm(film, values, finding.box, finding.score, found.method)
        note = SaliencyNote(
            str(sample["record_id"]),
            finding.number,
            finding.score,
            finding.box,
            finding.label,
            found.method,
            found.layer,
            found.raw_maximum,
            unit_of(found.method),
            frame.width,
            frame.height,
            own,
            self.model,
        )
        save_finding(self.folder, shown, note)
        if len(self.checks) < self.choice.n_checked:
            self.checks.append((note, self._checked(question, shown, note)))
        return note

    def _question(self, sample: Sample, finding: Finding) -> Question:
        try:
            return self.explainer.question(sample, finding)
        except ValueError as error:
            raise ValueError(f"record {sample['record_id']}, finding {finding.number}: {error}") from error

    def _checked(self, question: Question, shown: ExplainedFilm, note: SaliencyNote) -> SanityCheck:
        found = sanity_check(question.target, question.pixels, self.options)
        save_strip(self.folder, found, shown, question.frame, note.stem)
        return found
