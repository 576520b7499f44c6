"""What patches are cut from images, and what they are called: the settings of a patch data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mammo_monai.records import LESION_LABELS, MASS_LABEL, Lesion

Scheme = Literal["grid", "S1", "S10"]
Classes = Literal["mass", "type_and_pathology"]
Negatives = Literal["auto", "normals", "same_images", "candidates"]
Windows = Literal["inside", "overhanging"]

BACKGROUND = 0
CLASS_NAMES: dict[Classes, tuple[str, ...]] = {
    "mass": ("background", "mass"),
    "type_and_pathology": (
        "background",
        "benign mass",
        "malignant mass",
        "benign calcification",
        "malignant calcification",
    ),
}
_BENIGN = {"BENIGN", "BENIGN_WITHOUT_CALLBACK"}
_FIRST_OF_TYPE = {MASS_LABEL: 1, LESION_LABELS["calcification"]: 3}


@dataclass(frozen=True)
class PatchPlan:
    """Which windows of an image become patches.

    Attributes:
        patch_px: side of a patch, pixels of the prepared image. stride_px: between neighbouring windows.
        scheme: "grid": all windows of the stride whose centre lies inside a lesion of a class, and as many
            others (P3). "S1": one window centred on each lesion and one of background. "S10": ten around each
            lesion that hold 0.9 of it, or of which it fills 0.9, and ten of background.
        classes: "mass" (2 classes), or "type_and_pathology": background, benign and malignant mass, benign
            and malignant calcification (5). None: "mass" for the grid, five for S1 and S10.
        negatives: of the grid: "normals", the same number from each image without a lesion of a class;
            "same_images", of each image as many as it has positives; "candidates", like that, but where
            something looks like a mass (`imaging.candidate_regions`); "auto", normals where the list has
            some, else the same images.
        min_breast: share of non-zero pixels below which a window is at the border, and no negative.
        windows: "inside": all of a window lies in the image (P3), so that nothing within half a patch of its
            border is a centre; "overhanging": centres cover the image, what lies outside is 0. An image
            narrower than a patch has one window across, 0 beyond its border, either way.
        seed: of all that is drawn.

    Raises:
        ValueError: a value that is none of these.

    Source: grid, patch and stride: P3 (Agarwal et al., 2019). S1, S10: Shen et al., 2019, whose five classes
    P4 takes over. min_breast: P3 leaves border patches out without a number; 0.9 is ours.

    >>> PatchPlan().class_names, PatchPlan(scheme="S10").num_classes
    (('background', 'mass'), 5)
    """

    patch_px: int = 224
    stride_px: int = 56
    scheme: Scheme = "grid"
    classes: Classes | None = None
    negatives: Negatives = "auto"
    min_breast: float = 0.9
    windows: Windows = "inside"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values outside their range."""
        for name, words in (
            ("scheme", get_args(Scheme)),
            ("classes", (None, *CLASS_NAMES)),
            ("negatives", get_args(Negatives)),
            ("windows", get_args(Windows)),
        ):
            if getattr(self, name) not in words:
                listed = ", ".join(str(word) for word in words)
                raise ValueError(f"{name} must be one of {listed}, got {getattr(self, name)!r}.")
        for name in ("patch_px", "stride_px"):
            if not (type(getattr(self, name)) is int and getattr(self, name) >= 1):
                raise ValueError(f"{name} must be at least 1 px, got {getattr(self, name)!r}.")
        if not (type(self.seed) is int and self.seed >= 0):
            raise ValueError(f"seed must be a whole number, 0 or more, got {self.seed!r}.")
        if not 0 <= self.min_breast <= 1:
            raise ValueError(f"min_breast must be a share of a patch, in [0, 1], got {self.min_breast}.")

    @property
    def named_classes(self) -> Classes:
        """The classes in force."""
        return self.classes or ("mass" if self.scheme == "grid" else "type_and_pathology")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, background first."""
        return CLASS_NAMES[self.named_classes]

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.class_names)


def class_of_lesion(lesion: Lesion, classes: Classes) -> int | None:
    """Class index of a lesion; 0 where it counts as background, None where its class cannot be known.

    With "mass", what is no mass is background, as P3 has it. With five classes, a lesion without pathology or
    of another type has none. BENIGN_WITHOUT_CALLBACK is benign.

    >>> class_of_lesion(Lesion((0, 0, 9, 9), pathology="MALIGNANT"), "type_and_pathology")
    2
    """
    if classes == "mass":
        return 1 if lesion.label == MASS_LABEL else BACKGROUND
    first = _FIRST_OF_TYPE.get(lesion.label)
    pathology = (lesion.pathology or "").strip().upper().replace(" ", "_")
    if first is None or pathology not in _BENIGN | {"MALIGNANT"}:
        return None
    return first + (pathology == "MALIGNANT")
