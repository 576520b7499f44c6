"""What the package talks about: images, lesions and detections, as frozen dataclasses and enums.

Boxes are `(x_min, y_min, x_max, y_max)`, float, pixels of the original image, x = column, y = row,
origin at the outer corner of the first pixel, half-open.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Boxes = NDArray[np.float64]
MASS_LABEL = 0
LESION_LABELS: Mapping[str, int] = MappingProxyType(
    {"mass": MASS_LABEL, "calcification": 1, "asymmetry": 2, "distortion": 3, "other": 4}
)
"""Class index of each lesion type; bundles train and score masses alone."""
MIN_CONTOUR_POINTS = 3
Positive = Literal["lesion", "malignant"]
_SUSPICIOUS_BIRADS, _BENIGN_BIRADS = frozenset({4, 5, 6}), frozenset({1, 2})


class Laterality(str, enum.Enum):
    """The breast shown: DICOM Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class ViewPosition(str, enum.Enum):
    """The projection: DICOM View Position (0018,5101), context group 4014."""

    CC = "CC"
    MLO = "MLO"
    ML = "ML"
    LM = "LM"
    XCCL = "XCCL"
    OTHER = "OTHER"


class Split(str, enum.Enum):
    """The three lists of a manifest."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class Lesion:
    """An annotated finding: truth, never a model's output.

    Attributes:
        box: as annotated, original pixels; never enlarged.
        type: a word of `LESION_LABELS`, or several joined by "+".
        label: class index; 0 is a mass.
        contour: points `(x, y)` in original pixels, or None; one or two are a dot without a size.
        area_mm2: area of the contour, else of the mask; None where spacing is unknown.
        birads: assessment 0–6. subtlety: 1 (subtle) to 5 (obvious).
    """

    box: Box
    id: str = ""
    type: str = "mass"
    label: int = MASS_LABEL
    area_mm2: float | None = None
    contour: tuple[tuple[float, float], ...] | None = None
    pathology: str | None = None
    birads: int | None = None
    subtlety: int | None = None

    @property
    def is_dot(self) -> bool:
        """Whether the annotation is one or two points; its box is then 1 px around each."""
        return self.contour is not None and len(self.contour) < MIN_CONTOUR_POINTS


@dataclass(frozen=True)
class ImageRecord:
    """One image of a data set with all that is known of it.

    Attributes:
        image: absolute path of the image file.
        record_id: 16 hex digits, free of patient data; see `record_id_of`.
        width, height: pixels of the original image.
        pixel_spacing_mm: `(row, column)`: distance between rows, then between columns; None if unknown.
        breast_density: BI-RADS category 1–4 (a–d).
        birads: assessment of the breast or image, 0–6.
        source: data set and file the record came from, for people.
        file_size, sha256: of the image file, in bytes and hex digits, when the manifest was made.
        prepared: how the pixels were cropped, flipped and resized, where `image` is a prepared copy; boxes,
            width and height stay those of the original image.
    """

    image: Path
    record_id: str
    patient_id: str
    width: int
    height: int
    lesions: tuple[Lesion, ...] = ()
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    breast_density: int | None = None
    birads: int | None = None
    source: str = ""
    file_size: int | None = None
    sha256: str | None = None
    prepared: Mapping[str, Any] | None = None

    @property
    def boxes(self) -> Boxes:
        """Boxes of the lesions, shape (N, 4), as annotated."""
        return np.array([lesion.box for lesion in self.lesions], dtype=np.float64).reshape(-1, 4)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels of the lesions, shape (N,)."""
        return np.array([lesion.label for lesion in self.lesions], dtype=np.int64)

    @property
    def is_normal(self) -> bool:
        """Whether the image has no annotated lesion."""
        return not self.lesions

    @property
    def has_mass(self) -> bool:
        """Whether the image has a lesion of label 0."""
        return any(lesion.label == MASS_LABEL for lesion in self.lesions)


def _no_boxes() -> Boxes:
    return np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class Detections:
    """What a model marked on one image, highest score first or not.

    Attributes:
        boxes: shape (N, 4), original pixels. scores: shape (N,), in [0, 1]. labels: shape (N,), 0 = mass.
        probabilities: that each box hits a lesion, shape (N,), in [0, 1]; None where not calibrated.
        image_score: how suspicious the image is as a whole, in [0, 1]; None where the model does not say.
        warnings: what makes the marks less trustworthy, each as `code: sentence`; see docs/explanation/
            safety-in-use.md.
        typicality: share of training images that are less like the others than this one, in (0, 1]; None
            where the training's statistics are unknown.
    """

    record_id: str
    boxes: Boxes = field(default_factory=_no_boxes)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    image: Path | None = None
    probabilities: NDArray[np.float64] | None = None
    image_score: float | None = None
    warnings: tuple[str, ...] = ()
    typicality: float | None = None


def is_positive(
    record: ImageRecord, positive: Positive = "lesion", *, label: int = MASS_LABEL
) -> bool | None:
    """Whether an image is of the positive class; None where nobody knows, and it must be left out.

    "lesion": whether it has a lesion of `label`. "malignant", over lesions of all labels: yes where a
    pathology says so, no where each lesion has one and none does. Else the highest BI-RADS of the image and
    of the lesions without pathology decides: 4, 5 and 6 are malignant, 1 and 2 are not, 3 (probably benign),
    0 (incomplete) and none are unknown.

    Raises:
        ValueError: another class.

    Source: BI-RADS 4 to 6 against 1 and 2: Shen et al., 2019, for digital images without pathology.

    >>> from dataclasses import replace
    >>> image = ImageRecord(Path("a.png"), "a", "p", width=600, height=800, birads=5)
    >>> probably_benign = replace(image, birads=3)
    >>> is_positive(image), is_positive(image, "malignant"), is_positive(probably_benign, "malignant")
    (False, True, None)
    """
    if positive == "lesion":
        return any(lesion.label == label for lesion in record.lesions)
    if positive != "malignant":
        raise ValueError(f"positive must be lesion or malignant, got {positive!r}.")
    verdicts = [is_malignant(lesion.pathology) for lesion in record.lesions]
    if True in verdicts:
        return True
    unknown = [each.birads for each, verdict in zip(record.lesions, verdicts, strict=True) if verdict is None]
    if verdicts and not unknown:
        return False
    worst = max((each for each in (*unknown, record.birads) if each is not None), default=None)
    if worst in _SUSPICIOUS_BIRADS:
        return True
    return False if worst in _BENIGN_BIRADS else None


def is_malignant(pathology: str | None) -> bool | None:
    """Whether a pathology, as the data set writes it, says malignant; None where it says neither."""
    word = (pathology or "").strip().upper()
    if word.startswith("MALIGNANT"):
        return True
    return False if word.startswith(("BENIGN", "NORMAL")) else None


def label_of(lesion_type: str) -> int:
    """Class index of a lesion type; of several joined by "+" the first one in `LESION_LABELS` counts.

    Raises:
        ValueError: no type of `LESION_LABELS` among them.

    >>> label_of("calcification+mass"), label_of("asymmetry")
    (0, 2)
    """
    found = [LESION_LABELS[each] for each in lesion_type.split("+") if each in LESION_LABELS]
    if not found:
        raise ValueError(f"lesion type must be {', '.join(LESION_LABELS)}, got {lesion_type!r}.")
    return min(found)


def record_id_of(identity: str, salt: str) -> str:
    """First 16 hex digits of SHA-256(salt + identity).

    Args:
        identity: SOPInstanceUID where there is one, else the path relative to the data set's root (POSIX).
            Its bytes count, also those of a name that is no UTF-8.
        salt: kept beside the manifest; without it nobody can match ids to UIDs.

    >>> record_id_of("1.2.3", "phantoms") == record_id_of("1.2.3", "phantoms")
    True
    """
    return hashlib.sha256((salt + identity).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def patient_id_of(identity: str, salt: str) -> str:
    """First 16 hex digits of SHA-256(salt + "patient " + identity); never the record id of the same text.

    Args:
        identity: DICOM Patient ID, or what a table, file or folder calls the patient.
        salt: as of `record_id_of`; the same salt groups the same patient's images again.

    >>> patient_id_of("1", "s") == patient_id_of("1", "s") != record_id_of("1", "s")
    True
    """
    return record_id_of(f"patient {identity}", salt)
