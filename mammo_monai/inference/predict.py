"""Predicts on a data set and writes detections.json: boxes in original pixels, resumable after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from mammo_monai import __version__
from mammo_monai.errors import GeometryError, MammoError, ManifestError, causes
from mammo_monai.geometry import ImageFrame, Scale, box_area, clip_boxes, rowcol_to_xyxy
from mammo_monai.inference.fingerprint import describe, fingerprint
from mammo_monai.inference.fusion import Candidates, drop_small
from mammo_monai.inference.inferers import Inferer, SectionsInferer
from mammo_monai.inference.journal import Journal
from mammo_monai.inference.operating_point import ShownAt
from mammo_monai.inference.precision import check_precision
from mammo_monai.inference.views import Execution, Prediction
from mammo_monai.records import Detections
from mammo_monai.schema import DetectionsFile, write_detections

logger = logging.getLogger(__name__)
Sample = Mapping[str, Any]
LOG_EVERY_S = 10.0


class Samples(Protocol):
    """Transformed sample dicts by index: a `monai.data.Dataset`, or a plain list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Progress:
    """How far a run is; `eta_s` is None until the first image of this run is done."""

    done: int
    total: int
    record_id: str
    eta_s: float | None


@dataclass(frozen=True)
class Source:
    """What is known of an image before it is loaded."""

    record_id: str
    image: Path


class Predictor:
    """Predicts on every image of a data set; `run` writes the detections file.

    Finished images are kept in a journal beside the output (see `journal`), so the same run started again
    after a kill goes on where it stopped. Other settings, weights, transforms or images discard the journal.

    Args:
        inferer: see `inferers`.
        dataset: samples with `image`, `frame`, `record_id`, `image_path`, `pixel_spacing_mm`; a MONAI data
            set's untransformed `data` names the images, so finished ones are not loaded again.
        output: the detections file.
        model: description of the model for the file; `inference`, `software` and `failed` are added.
        device: where the detector is.
        on_error: "stop" raises at the first image that fails; "skip" goes on and lists
            `{record_id, image, error}` in the file under `model.failed`, and the image has no entry.
        resume: False ignores and overwrites a journal.
        on_progress: called after each image; None logs a line every ten seconds.
        operating_point: what the file shows, and notes under `model.operating_point`; None shows everything.
            The journal keeps everything, so a run goes on with another point.

    Raises:
        ValueError: another word for `on_error`, or a precision that the device cannot.
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
    ) -> None:
        if on_error not in ("stop", "skip"):
            raise ValueError(f"on_error must be stop or skip, got {on_error!r}.")
        self.inferer = inferer
        self.dataset = dataset
        self.output = Path(output)
        self.model = dict(model or {})
        self.device = torch.device(device)
        check_inferer(inferer, self.device)
        self.on_error = on_error
        self.resume = resume
        self.on_progress = on_progress or _ProgressLog()
        self.operating_point = operating_point
        if operating_point is not None:
            operating_point.check_model(self.model.get("weights_sha256"))
            operating_point.check_inference(inference_settings(inferer))
        self._is_warned = False

    def run(self) -> DetectionsFile:
        """Predicts what is not yet predicted, writes the file, removes the journal.

        Returns:
            The content of the file, images in the order of the data set.

        Raises:
            ManifestError: no image, or a record id used twice.
            MammoError: an image failed and `on_error` is "stop"; the message names its file.
            OSError: the output cannot be written.
        """
        if self.output.is_dir():
            raise IsADirectoryError(f"could not write {self.output}: it is a folder; name a file in it.")
        sources = _sources(self.dataset)
        with Journal(self.output, self._fingerprint(sources), resume=self.resume) as journal:
            failed = self._predict_missing(sources, journal)
            found = [
                journal.finished[each.record_id] for each in sources if each.record_id in journal.finished
            ]
            if self.operating_point is not None:
                found = [self.operating_point(each) for each in found]
            model = described_model(self.model, self.inferer, self.operating_point)
            content = DetectionsFile(tuple(found), {**model, "failed": failed})
            write_detections(self.output, content.detections, content.model)
            journal.remove()
        n_scored = sum(each.image_score is not None for each in found)
        scored = f" ({n_scored} with a score of their own)" if n_scored else ""
        logger.info("wrote %s: %d images%s, %d failed", self.output, len(found), scored, len(failed))
        return content

    def _predict_missing(self, sources: list[Source], journal: Journal) -> list[dict[str, str]]:
        failed: list[dict[str, str]] = []
        missing = [n for n, source in enumerate(sources) if source.record_id not in journal.finished]
        if len(missing) < len(sources):
            logger.info(
                "%s: %d of %d images are done", journal.path, len(sources) - len(missing), len(sources)
            )
        start = time.monotonic()
        for count, index in enumerate(missing, start=1):
            source = sources[index]
            try:
                found = self._predict(index, source)
            except (
                Exception
            ) as error:  # whatever a file, a transform or the detector raises belongs to this image
                explained = explained_error(error, source.record_id, source.image)
                if self.on_error == "stop":
                    remedy = "Mend the image or leave it out; on_error='skip' predicts on the others."
                    raise type(explained)(f"{explained} {remedy}") from error
                logger.warning("skipped: %s", explained)
                failed.append(
                    {"record_id": source.record_id, "image": str(source.image), "error": str(explained)}
                )
            else:
                journal.add(found)
            eta_s = (time.monotonic() - start) / count * (len(missing) - count)
            done = len(sources) - len(missing) + count
            self.on_progress(Progress(done, len(sources), source.record_id, eta_s))
        return failed

    def _predict(self, index: int, source: Source) -> Detections:
        sample = self.dataset[index]
        self._check_resolution(_checked_frame(sample))
        prediction = self.inferer(sample["image"].to(self.device))
        score = prediction.get("image_score")
        told = "" if score is None else f", image score {float(score):.4f}"
        logger.debug("%s: %d candidates%s", source.record_id, len(prediction["box"]), told)
        return detections_in_original(sample, prediction, min_area_mm2=self.inferer.min_area_mm2)

    def _check_resolution(self, frame: ImageFrame) -> None:
        shrinks = any(isinstance(step, Scale) and step.to_width < step.width for step in frame.steps)
        if shrinks and isinstance(self.inferer, SectionsInferer) and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "sections are cut from a reduced image, not at full resolution: small masses may be lost. "
                "Take the resizing out of the preprocessing; the inferer resizes the whole image itself."
            )

    def _fingerprint(self, sources: list[Source]) -> str:
        return fingerprint(
            {
                "inferer": self.inferer,
                "transform": getattr(self.dataset, "transform", None),
                "model": self.model,
                "software": __version__,
                "sources": [(each.record_id, str(each.image), _stamp(each.image)) for each in sources],
            }
        )


def check_inferer(inferer: Inferer, device: torch.device) -> None:
    """Refuses now, not at the first image, a precision that the device cannot.

    Raises:
        ValueError: the precision, and what the device can.
    """
    if isinstance(execution := getattr(inferer, "execution", None), Execution):
        check_precision(execution.precision, device)


def described_model(
    model: Mapping[str, object], inferer: Inferer, operating_point: ShownAt | None
) -> dict[str, object]:
    """What detections.json says of a model: its description, how it sees images, what is shown."""
    about: dict[str, object] = {
        **model,
        "inference": inference_settings(inferer),
        "software": f"mammo-monai {__version__}",
    }
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


def _sources(dataset: Samples) -> list[Source]:
    raw = getattr(dataset, "data", dataset)
    sources = [Source(str(raw[n]["record_id"]), Path(raw[n]["image_path"])) for n in range(len(raw))]
    if not sources:
        raise ManifestError("no image to predict on: the data set is empty. Check the path and the split.")
    first: dict[str, Source] = {}
    for source in sources:
        if source.record_id in first:
            raise ManifestError(
                f"record_id {source.record_id} stands for both {first[source.record_id].image} and "
                f"{source.image}: an image may be predicted once. Name it once, or make the manifest again."
            )
        first[source.record_id] = source
    return sources


def explained_error(error: Exception, record_id: str, image: Path) -> MammoError:
    """The root of an image's error (MONAI wraps what a transform raises), with the image's file."""
    *_, root = chain = list(causes(error))
    cause = next((each for each in chain if isinstance(each, MammoError)), root)
    kind = type(cause) if isinstance(cause, MammoError) else MammoError
    reason = str(cause) if isinstance(cause, MammoError) else f"{type(cause).__name__}: {cause}"
    where = f"record {record_id}" if str(image) in reason else f"{image} (record {record_id})"
    return kind(f"{where}: {reason}")


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


def _stamp(image: Path) -> tuple[int, int] | None:
    """Size and time of change: another file under the same name is another image."""
    if not image.exists():
        return None
    status = image.stat()
    return status.st_size, status.st_mtime_ns


class _ProgressLog:
    """Logs progress at INFO, at most every ten seconds and at the end."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s >= LOG_EVERY_S or progress.done == progress.total:
            self._last_s = now_s
            logger.info("%d of %d images, %.0f s left", progress.done, progress.total, progress.eta_s or 0.0)
