"""What a job on a cluster is made of: the model as a worker loads it, and hashes of what decides results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mammo_monai import __version__
from mammo_monai.bundle import load_marker
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.bundle.run import path_value
from mammo_monai.errors import ManifestError
from mammo_monai.inference import described_model, shown_at
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.records import Detections
from mammo_monai.service.cluster.chunks import Sample

Mark = Callable[[Sample], Detections]


class MarkerSource(Protocol):
    """What is sent to every worker: small, and able to load the model there."""

    def load(self, device: str | None) -> Mark:
        """The model in this process's memory."""


@dataclass(frozen=True)
class BundleMarker:
    """A bundle as `mammo-monai predict` is told of it; every node sees its folder and weights.

    Attributes:
        fppi: see `load_marker`. weights: instead of its own.
        overrides: ids of inference.json and values; `device` among them wins over what a worker has.
        is_trusted: as `run_bundle`, on every node.
    """

    bundle: str
    fppi: float | None = None
    weights: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)
    is_trusted: bool = False

    def load(self, device: str | None) -> Mark:
        """The bundle's marker.

        Args:
            device: where it computes unless the overrides say so; None leaves it to the bundle.

        Raises:
            BundleError, WeightsError, ValueError: see `load_marker`.
        """
        given = {**({} if device is None else {"device": device}), **self.overrides}
        marker = load_marker(
            self.bundle,
            fppi=self.fppi,
            weights=self.weights,
            overrides=given,
            is_trusted=self.is_trusted,
        )
        return lambda sample: marker.of_sample(dict(sample))


@dataclass(frozen=True, eq=False)
class Job:
    """Images, the model that marks them, and what the output says of it.

    Attributes:
        samples: images not loaded, in the order of the output.
        parts: hash of each part of what decides the result; see `JobRecord`.
    """

    source: MarkerSource
    samples: Sequence[Sample]
    model: Mapping[str, object]
    parts: Mapping[str, str]


def bundle_job(source: BundleMarker, images: str | Sequence[str], split: str | None = None) -> Job:
    """The job of a bundle on images; what can be refused is refused here, before a cluster is asked.

    Args:
        images: as `mammo-monai predict` takes them. split: one list of the manifest; None takes all.

    Raises:
        BundleError, WeightsError, ManifestError: as the bundle's own run; no image, or a record id twice.
    """
    weights = {} if source.weights is None else {"weights": path_value(source.weights)}
    asked: dict[str, Any] = {"input": images, **({} if split is None else {"split": split})}
    # The driver only describes the network: it need not have the workers' GPU.
    overrides = {**weights, **source.overrides, **asked, "device": "cpu"}
    ids = ("dataset", "preprocessing", "inferer", "model")
    parts = bundle_parts(source.bundle, ids, overrides, is_trusted=source.is_trusted)
    point = None if source.fppi is None else shown_at(find_bundle(source.bundle), source.fppi)
    about = described_model(parts["model"], parts["inferer"], point)
    if point is not None:
        settings = about["inference"]
        point.check_model(parts["model"].get("weights_sha256"))
        point.check_inference(settings if isinstance(settings, Mapping) else {})
    samples = parts["dataset"].data
    accepted = source.overrides.get("evaluator#accept")
    inference = {"inferer": parts["inferer"], "transform": parts["preprocessing"], "accept": accepted}
    decides = {
        "model": {"model": parts["model"], "point": None if point is None else point.describe()},
        "inference": inference,
        "images": _identities(samples),
        "software": __version__,
    }
    return Job(source, samples, about, {name: fingerprint(value) for name, value in decides.items()})


def _identities(samples: Sequence[Sample]) -> list[tuple[str, str, tuple[int, int] | None]]:
    """Record id, file, and the file's size and time of change: another file there is another image.

    Raises:
        ManifestError: no image, or a record id used twice.
    """
    if not len(samples):
        raise ManifestError("no image to predict on: the data set is empty. Check the path and the split.")
    found: dict[str, tuple[str, str, tuple[int, int] | None]] = {}
    for each in samples:
        record_id, path = str(each["record_id"]), Path(each["image_path"])
        if record_id in found:
            raise ManifestError(
                f"record_id {record_id} stands for both {found[record_id][1]} and {path}: an image may be "
                "predicted once. Name it once, or make the manifest again."
            )
        status = path.stat() if path.exists() else None
        stamp = None if status is None else (status.st_size, status.st_mtime_ns)
        found[record_id] = (record_id, str(path), stamp)
    return list(found.values())
