"""Predicts on a data set and writes detections: boxes in original pixels, resumable after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mammo_monai import __version__
from mammo_monai.errors import GeometryError, MammoError
from mammo_monai.files import check_file_place
from mammo_monai.geometry import ImageFrame, Scale, box_area, clip_boxes, rowcol_to_xyxy
from mammo_monai.inference.decode_ahead import Loaded, decoded_ahead
from mammo_monai.inference.failures import (
    check_name,
    code_of,
    explained_error,
    is_of_device,
    readable,
    retold,
)
from mammo_monai.inference.fingerprint import describe, fingerprint
from mammo_monai.inference.fusion import Candidates, drop_small
from mammo_monai.inference.image_checks import image_checks
from mammo_monai.inference.inferers import Inferer, SectionsInferer
from mammo_monai.inference.journal import Journal, journal_path
from mammo_monai.inference.operating_point import ShownAt
from mammo_monai.inference.run_lock import only_run
from mammo_monai.inference.runtimes import torch_precision
from mammo_monai.inference.shard_journal import ShardJournal, remove_leftovers
from mammo_monai.inference.single_pass import SinglePassInferer
from mammo_monai.inference.sources import Sample, Samples, Source, Sources
from mammo_monai.inference.views import Execution, Prediction
from mammo_monai.inference.written import Failure, Results, Written, written_before
from mammo_monai.pace import Pace
from mammo_monai.records import Detections
from mammo_monai.schema import detections_format, read_model
from mammo_monai.schema.detection_shards import SHARD_ROWS, check_parquet
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a run is; `eta_s` is None until the first image of this run is done."""

    done: int
    total: int
    record_id: str
    eta_s: float | None


class Predictor:
    """Predicts on every image of a data set; `run` writes the detections file.

    Memory does not grow with the images that are done. Those stand in a journal beside the output (see
    `journal` and `shard_journal`), so the same run started again after a kill goes on where it stopped.
    Other settings, weights, transforms or images discard the journal.

    Args:
        inferer: see `inferers`.
        dataset: samples with `image`, `frame`, `record_id`, `image_path`, `pixel_spacing_mm`; a MONAI data
            set's untransformed `data` names the images, so finished ones are not loaded again.
        output: the detections file: `.json`, `.jsonl`, or the folder `.parquet`.
        model: description of the model for the file; `inference`, `software` and `failed` are added.
        device: where the detector is.
        on_error: "stop" raises at the first image that fails; "skip" goes on and lists
            `{record_id, image, error}` in the file under `model.failed`, and the image has no entry. A run
            that goes on tries failed images again with "stop", and not with "skip".
        resume: False ignores and overwrites a journal.
        on_progress: called after each image; None logs a line every ten seconds.
        operating_point: what the file shows, and notes under `model.operating_point`; None shows everything.
            The journal of .json and .jsonl keeps everything, so such a run goes on with another point.
        workers: threads that load images ahead of the network, see `decode_ahead`; results are the same.
        accept: refusals of images to set aside (`dicom.refusal_codes`); they are marked with a warning.
        statistics: the bundle's training statistics, to warn of images unlike them; None, or no file: none.

    Attributes:
        shard_rows: images of a Parquet shard.
        written: what `run` wrote; None before.

    Raises:
        ValueError: another word for `on_error` or in `accept`, or a precision that the device cannot.
        WeightsError: the operating point is for other weights than `model.weights_sha256`.
        BundleError: it was chosen with another inference.
    """

    def __init__(  # noqa: PLR0913  # the settings of a prediction, all named in a bundle's configuration
        self,
        inferer: Inferer,
        dataset: Samples,
        output: Path | str,
        *,
        model: Mapping[str, object] | None = None,
        device: torch.device | str = "cpu",
        on_error: Literal["stop", "skip"] = "stop",
        resume: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
        operating_point: ShownAt | None = None,
        workers: int = 1,
        accept: Sequence[str] = (),
        statistics: Path | str | None = None,
    ) -> None:
        if on_error not in ("stop", "skip"):
            raise ValueError(f"on_error must be stop or skip, got {on_error!r}.")
        if workers < 0:
            raise ValueError(f"workers must be at least 0, got {workers}.")
        self.inferer = inferer
        self.dataset = dataset
        self.output = Path(output)
        self.model = dict(model or {})
        self.device = torch.device(device)
        check_inferer(inferer, self.device)
        self.checks = image_checks(statistics, self.model, accept)
        self.on_error = on_error
        self.resume = resume
        self.on_progress = on_progress or ProgressLog()
        self.operating_point = operating_point
        self.workers = workers
        if operating_point is not None:
            operating_point.check_model(self.model.get("weights_sha256"))
            operating_point.check_inference(inference_settings(inferer))
        self.shard_rows = SHARD_ROWS
        self.written: Written | None = None
        self._is_warned = False

    def run(self) -> Written:
        """Predicts what is not yet predicted, writes the file, removes the journal.

        A .jsonl or .parquet output of the same run that is finished is left as it is.

        Returns:
            What was written, in `written` too: counts, and the detections in the order of the data set.

        Raises:
            ManifestError: no image, or a record id used twice.
            MammoError: an image failed and `on_error` is "stop"; the message names its file.
            OSError: the output cannot be written, or another process is writing it.
        """
        _check_kind(self.output)
        with only_run(self.output):
            sources = Sources(self.dataset)
            key = self._fingerprint(sources)
            shown = fingerprint({"run": key, "operating_point": self.operating_point})
            self.written = self._finished_before(shown) or self._predicted(sources, key, shown)
        done = self.written
        scored = f" ({done.n_scored} with a score of their own)" if done.n_scored else ""
        images = counted(done.n_images, "image")
        logger.info("wrote %s: %s%s, %d failed", self.output, images, scored, done.n_failed)
        return done

    def _predicted(self, sources: Sources, key: str, shown: str) -> Written:
        model = described_model(self.model, self.inferer, self.operating_point)
        numbers, point = sources.numbers(), self.operating_point
        if detections_format(self.output) == "parquet":
            given: dict[str, Any] = {"resume": self.resume, "shard_rows": self.shard_rows}
            with ShardJournal(self.output, shown, numbers, **given) as shards:
                del numbers
                self._predict_missing(sources, shards, point)
                return shards.write({**model, "run_sha256": shown})
        with Journal(self.output, key, numbers, resume=self.resume) as journal:
            del numbers
            self._predict_missing(sources, journal, None)
            is_stream = detections_format(self.output) == "jsonl"
            return journal.write({**model, "run_sha256": shown} if is_stream else model, point)

    def _finished_before(self, shown: str) -> Written | None:
        """The output of this very run, if it is finished: a loop around the command must not begin again."""
        if not self.resume or detections_format(self.output) == "json" or not self.output.exists():
            return None
        try:
            model = read_model(self.output)
        except MammoError:
            return None
        if model.get("run_sha256") != shown:
            return None
        logger.info("%s is finished: nothing to compute. Remove it to predict again.", self.output)
        if self.output.is_dir():
            remove_leftovers(self.output)
        else:
            journal_path(self.output).unlink(missing_ok=True)
        return written_before(self.output)

    def _predict_missing(self, sources: Sources, journal: Results, shown: ShownAt | None) -> None:
        is_done = journal.is_done | journal.is_failed if self.on_error == "skip" else journal.is_done
        missing = np.flatnonzero(~is_done)
        before = len(sources) - len(missing)
        if before:
            logger.info("%s: %d of %s are done", self.output, before, counted(len(sources), "image"))
        start = time.monotonic()
        pin = self.device.type == "cuda"
        with decoded_ahead(self.dataset, missing.tolist(), workers=self.workers, pin=pin) as images:
            for count, loaded in enumerate(images, start=1):
                source = sources[loaded.number]
                try:
                    found = self._predict(loaded, source)
                except Exception as error:  # whatever a file, a transform or the detector raises
                    journal.fail(loaded.number, self._failure(error, source))
                else:
                    journal.add(loaded.number, found if shown is None else shown(found))
                eta_s = (time.monotonic() - start) / count * (len(missing) - count)
                self.on_progress(Progress(before + count, len(sources), source.record_id, eta_s))

    def _failure(self, error: Exception, source: Source) -> Failure:
        """An image's error, to be listed; raises it instead where the run is to stop."""
        explained = explained_error(error, source.record_id, source.image)
        if is_of_device(error):
            remedy = "The GPU failed, not the image: start the command again; what is done is kept."
            raise retold(explained, f"{explained} {remedy}") from error
        if self.on_error == "stop":
            remedy = "Mend the image or leave it out; on_error='skip' predicts on the others."
            raise retold(explained, f"{explained} {remedy}") from error
        logger.warning("skipped: %s", explained)
        return Failure(source.record_id, readable(str(source.image)), str(explained), code_of(explained))

    def _predict(self, loaded: Loaded, source: Source) -> Detections:
        if loaded.sample is None:
            raise loaded.error or RuntimeError("nothing was loaded")
        check_name(source.image)
        sample = loaded.sample
        warnings = self.checks.before(source.image)
        self._check_resolution(_checked_frame(sample))
        # From page-locked memory the copy runs while the GPU computes; elsewhere this changes nothing.
        image = sample["image"].to(self.device, non_blocking=True)
        prediction = self.inferer(image)
        score = prediction.get("image_score")
        told = "" if score is None else f", image score {float(score):.4f}"
        logger.debug("%s: %d candidates%s", source.record_id, len(prediction["box"]), told)
        found = detections_in_original(sample, prediction, min_area_mm2=self.inferer.min_area_mm2)
        return self.checks(sample, found, warnings)

    def _check_resolution(self, frame: ImageFrame) -> None:
        shrinks = any(isinstance(step, Scale) and step.to_width < step.width for step in frame.steps)
        if shrinks and isinstance(self.inferer, SectionsInferer | SinglePassInferer) and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "sections and tiles are cut from a reduced image, not at full resolution: small masses may "
                "be lost. Take the resizing out of the preprocessing; the inferer resizes the whole image "
                "itself."
            )

    def _fingerprint(self, sources: Sources) -> str:
        return fingerprint(
            {
                "inferer": self.inferer,
                "transform": getattr(self.dataset, "transform", None),
                "model": self.model,
                "checks": self.checks,
                "software": __version__,
                "sources": sources.digest(),
            }
        )


def check_inferer(inferer: Inferer, device: torch.device) -> None:
    """Refuses now, not at the first image, a precision or an engine that the device cannot.

    Raises:
        ValueError: the precision, and what the device can.
    """
    if isinstance(execution := getattr(inferer, "execution", None), Execution):
        torch_precision(execution.engine, execution.precision, device)


def described_model(
    model: Mapping[str, object], inferer: Inferer, operating_point: ShownAt | None
) -> dict[str, object]:
    """What detections.json says of a model: its description, how it sees images, what is shown."""
    about: dict[str, object] = {
        **model,
        "inference": inference_settings(inferer),
        "software": f"mammo-monai {__version__}",
    }
    detector = getattr(inferer, "detector", None)
    threshold = getattr(getattr(detector, "settings", detector), "score_threshold", None)
    if isinstance(threshold, float):
        about["score_threshold"] = threshold
    if operating_point is not None:
        about["operating_point"] = operating_point.describe()
    return about


def inference_settings(inferer: Inferer) -> dict[str, object]:
    """An inferer's class and public settings, as JSON values, without its model."""
    public = {name: each for name, each in vars(inferer).items() if not name.startswith("_")}
    for model in ("detector", "classifier"):
        public.pop(model, None)
    return {
        "inferer": type(inferer).__name__,
        # Fields alone: the file need not know in which module a class lives.
        **{
            name: describe(asdict(each) if isinstance(each, Execution) else each)
            for name, each in public.items()
        },
    }


def detections_in_original(
    sample: Sample, prediction: Prediction, *, min_area_mm2: float | None = None
) -> Detections:
    """A prediction in the frame of the sample's image as detections in original pixels, clipped to them.

    Args:
        sample: with `image` (1, H, W), `frame`, `record_id`, `pixel_spacing_mm`, and `image_path` if known.
        prediction: `box` (N, 4) in MONAI axis order, `label`, `label_scores`, maybe `image_score`; see
            `Inferer`.
        min_area_mm2: smaller boxes go (`fusion.drop_small`); None keeps all.

    Returns:
        Detections, highest score first; boxes outside the original image are left out.

    Raises:
        GeometryError: `frame` is None or not the frame of `image`, or a box is not finite.
        ValueError: a score is not finite, or the image's is not in [0, 1].
    """
    frame = _checked_frame(sample)
    boxes = rowcol_to_xyxy(prediction["box"].cpu().numpy().astype(np.float64))
    inside = clip_boxes(frame.to_original(boxes), frame.width, frame.height)
    found = Candidates.of(inside, prediction["label_scores"].cpu().numpy(), prediction["label"].cpu().numpy())
    found = found.take(box_area(found.boxes) > 0).best()
    if min_area_mm2 is not None:
        found = drop_small(
            found.boxes,
            found.scores,
            found.labels,
            min_area_mm2=min_area_mm2,
            pixel_spacing_mm=sample["pixel_spacing_mm"],
            image_area_px=frame.width * frame.height,
        )
    image = sample.get("image_path")
    return Detections(
        str(sample["record_id"]),
        found.boxes,
        found.scores,
        found.labels,
        Path(image) if image else None,
        image_score=_image_score(prediction),
    )


def _image_score(prediction: Prediction) -> float | None:
    if "image_score" not in prediction:
        return None
    score = float(prediction["image_score"])
    if not 0 <= score <= 1:
        raise ValueError(f"an image's score must be a number from 0 to 1, got {score}.")
    return score


def _checked_frame(sample: Sample) -> ImageFrame:
    frame: ImageFrame | None = sample["frame"]
    if frame is None:
        raise GeometryError(
            "the sample has no frame: an augmentation moved its pixels in a way no frame records. "
            "Take the augmentations out of the preprocessing for prediction."
        )
    height, width = sample["image"].shape[-2:]
    if frame.size != (width, height):
        raise GeometryError(
            f"the frame ends in {frame.size[0]} × {frame.size[1]} px (width × height), the image has "
            f"{width} × {height}: a transform moved pixels without recording it in `frame`."
        )
    return frame


def _check_kind(output: Path) -> None:
    """Refuses a place of another kind than the format's (file, folder, pipe); Parquet without its package."""
    if detections_format(output) != "parquet":
        check_file_place(output)
        return
    check_parquet()
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(
            f"could not write {output}: it is a file; .parquet is a folder of shards. Name another."
        )


class ProgressLog:
    """Logs progress at INFO, at most every ten seconds and at the end."""

    def __init__(self) -> None:
        self._pace = Pace(logger, tells_end=True)

    def __call__(self, progress: Progress) -> None:
        """One image is done."""
        self._pace(progress.done, progress.total, progress.eta_s or 0.0)
