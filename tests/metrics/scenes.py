"""Made images with lesions and detections for tests of metrics: small integer boxes, so that ties happen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from mammo_monai.metrics.matching import Matches, match_pooled
from mammo_monai.metrics.pooling import PooledImages, pool_images
from mammo_monai.records import Box, Detections, ImageRecord, Lesion

WIDTH, HEIGHT = 12, 20


@dataclass(frozen=True)
class Scene:
    """Records and their detections, one to one."""

    records: tuple[ImageRecord, ...]
    detections: tuple[Detections, ...]

    def pooled(self, label: int = 0) -> PooledImages:
        return pool_images(self.detections, [each.lesions for each in self.records], label=label)

    def matches(self, label: int = 0) -> Matches:
        return match_pooled(self.pooled(label))

    def normals_and_patients(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each image, whether it is normal, and the number of its patient."""
        names = sorted({each.patient_id for each in self.records})
        is_normal = np.array([not each.has_mass for each in self.records])
        return is_normal, np.array([names.index(each.patient_id) for each in self.records])

    def plain(self, label: int = 0):
        """What the slow reference reads, of one label."""
        return [
            (
                [lesion.box for lesion in record.lesions if lesion.label == label],
                [
                    (tuple(box), score)
                    for box, score, own in zip(
                        found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
                    )
                    if own == label
                ],
            )
            for record, found in zip(self.records, self.detections, strict=True)
        ]


def record(n: int, lesions=(), patient: str = "", spacing=(0.1, 0.1)) -> ImageRecord:
    boxes = [each if isinstance(each, Lesion) else Lesion(box=each) for each in lesions]
    return ImageRecord(
        image=Path(f"{n}.png"),
        record_id=f"{n:016x}",
        patient_id=patient or f"patient {n}",
        width=WIDTH,
        height=HEIGHT,
        lesions=tuple(boxes),
        pixel_spacing_mm=spacing,
    )


def found(n: int, *rows: tuple[Box, float], label: int = 0) -> Detections:
    return Detections(
        f"{n:016x}",
        np.array([box for box, _ in rows], dtype=float).reshape(-1, 4),
        np.array([score for _, score in rows], dtype=float),
        np.full(len(rows), label, dtype=np.int64),
    )


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    return (
        float(x),
        float(y),
        float(draw(st.integers(x + 1, min(WIDTH, x + 6)))),
        float(draw(st.integers(y + 1, min(HEIGHT, y + 6)))),
    )


@st.composite
def scenes(draw: st.DrawFn, max_images: int = 5, scores: tuple[float, ...] = (0.1, 0.25, 0.5, 0.9)) -> Scene:
    """Up to `max_images` images: normal ones, empty entries, ties, double hits and two labels among them."""
    records, detections = [], []
    labels = st.sampled_from([0, 0, 0, 1])
    for n in range(draw(st.integers(1, max_images))):
        lesions = [Lesion(box=draw(boxes()), label=draw(labels)) for _ in range(draw(st.integers(0, 3)))]
        near = st.sampled_from([lesion.box for lesion in lesions]) if lesions else boxes()
        rows = draw(
            st.lists(st.tuples(st.one_of(boxes(), near), st.sampled_from(scores), labels), max_size=6)
        )
        records.append(record(n, lesions, patient=f"patient {n // 2}"))
        detections.append(
            Detections(
                f"{n:016x}",
                np.array([box for box, _, _ in rows], dtype=float).reshape(-1, 4),
                np.array([score for _, score, _ in rows], dtype=float),
                np.array([label for _, _, label in rows], dtype=np.int64),
            )
        )
    return Scene(tuple(records), tuple(detections))
