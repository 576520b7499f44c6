"""Who marked: model, version, weights and operating point, as every result names them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNNAMED = "unnamed model"
UNKNOWN_VERSION = "unknown"


@dataclass(frozen=True)
class ModelIdentity:
    """What a result says of the model behind its marks.

    Attributes:
        name: of the bundle, or what detections.json calls the model. version: of the bundle.
        weights_sha256: hexadecimal; None where nobody recorded it.
        software: what ran the model, such as "mammo-monai 0.1.0".
        threshold: boxes of at least this score are marked; None where all of the file's are.
        fppi: false positives per image the threshold was chosen for; None without an operating point.
    """

    name: str
    version: str
    weights_sha256: str | None
    software: str
    threshold: float | None = None
    fppi: float | None = None


def model_identity(model: Mapping[str, object]) -> ModelIdentity:
    """The identity in the `model` of a detections.json, or in `Marker.model`.

    What the mapping does not say is named unknown, never guessed: a file written by hand names its model by
    a word or not at all.

    >>> point = {"fppi": 1, "threshold": 0.3}
    >>> model_identity({"bundle": "mass", "version": "1.2.0", "operating_point": point})
    ModelIdentity(name='mass', version='1.2.0', weights_sha256=None, software='', threshold=0.3, fppi=1.0)
    """
    point = model.get("operating_point")
    point = point if isinstance(point, Mapping) else {}
    return ModelIdentity(
        name=_text(model, "bundle") or _text(model, "name") or UNNAMED,
        version=_text(model, "version") or UNKNOWN_VERSION,
        weights_sha256=_text(model, "weights_sha256") or None,
        software=_text(model, "software"),
        threshold=_number(point.get("threshold")),
        fppi=_number(point.get("fppi")),
    )


def result_uid(kind: str, source_uids: Sequence[str], model: ModelIdentity, *, content: str = "") -> str:
    """The UID that a result has whenever and wherever it is made: sending it again replaces, never doubles.

    It follows from the kind, the source images in any order, the weights (name and version where no hash is
    known) and the threshold.

    Args:
        kind: of `RESULT_KINDS`, or another word for another purpose (a series, a device).
        content: tells apart what a person has edited; "" for marks as the model made them.

    Source: DICOM PS3.5 B.2: 2.25 and a UUID as a decimal number.

    >>> model = ModelIdentity("mass", "1.2.0", None, "")
    >>> result_uid("sr", ["1.2", "1.3"], model) == result_uid("sr", ["1.3", "1.2"], model)
    True
    """
    weights = model.weights_sha256 or f"{model.name} {model.version}"
    identity = [kind, sorted(source_uids), weights, model.threshold, content]
    digest = hashlib.sha256(json.dumps(identity).encode("utf-8")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def _text(model: Mapping[str, object], name: str) -> str:
    value = model.get(name)
    return value.strip() if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
