"""Boxes that no true mass has: shares for pixels, the whole image, a click, all of a smaller copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.lesion_frames import with_boxes_in_pixels
from mammo_monai.records import Box, ImageRecord, Lesion
from mammo_monai.schema import Action

SIZE = (3000, 4000)
TRUE_BOX = (1700.0, 900.0, 1990.0, 1260.0)


def record(number: int, *boxes: Box, label: int = 0, contour: tuple[Box, ...] | None = None) -> ImageRecord:
    points = None if contour is None else tuple((x, y) for x, y, *_ in contour)
    lesions = [Lesion(box, str(n), label=label, contour=points) for n, box in enumerate(boxes, start=1)]
    return ImageRecord(
        Path(f"{number}.png"),
        f"{number:016x}",
        f"p{number}",
        *SIZE,
        lesions=tuple(lesions),
        source="CSV row 3",
    )


def judged(records: Sequence[ImageRecord]) -> tuple[list[str], list[str], Audit]:
    """Ids of the records that stay, codes of the findings."""
    audit = Audit()
    kept = with_boxes_in_pixels(records, audit)
    return [each.patient_id for each in kept], [each.code for each in audit.findings], audit


def test_a_true_box_and_a_normal_image_bring_no_finding() -> None:
    assert judged([record(0, TRUE_BOX), record(1)])[:2] == (["p0", "p1"], [])


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.6), (0.0, 0.0, 1.0, 1.0)])
@pytest.mark.parametrize("label", [0, 1])
def test_shares_of_the_image_are_no_pixels(box: Box, label: int) -> None:
    kept, codes, audit = judged([record(0, TRUE_BOX, box, label=label), record(1, TRUE_BOX)])
    assert (kept, codes) == (["p1"], ["box-invalid"])
    assert audit.findings[0].action is Action.QUARANTINED
    assert audit.quarantined[0].record_id == f"{0:016x}"


def test_the_message_names_file_row_and_remedy(caplog: pytest.LogCaptureFixture) -> None:
    _, _, audit = judged([record(7, (0.1, 0.2, 0.5, 0.6))])
    audit.finish()
    said = caplog.text
    assert all(
        word in said for word in ("7.png, CSV row 3", "[0.1, 0.2, 0.5, 0.6]", "Multiply them by its width")
    )


def test_a_dot_in_the_corner_is_no_share() -> None:
    dot = record(0, (0.0, 0.0, 0.9, 0.9), label=4, contour=((0.4, 0.4, 0.0, 0.0),))
    assert judged([dot])[:2] == (["p0"], [])


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.0, 0.0, 3000.0, 4000.0), "fills 100 % of the image"),
        ((10.0, 10.0, 2500.0, 3600.0), "fills 74 % of the image"),
        ((500.0, 700.0, 512.0, 708.0), "a mass of 12 px in an image of 3000 × 4000 px"),
    ],
)
def test_a_mass_of_the_whole_image_or_of_a_click_is_noted(box: Box, words: str) -> None:
    kept, codes, audit = judged([record(0, TRUE_BOX, box)])
    assert (kept, codes) == (["p0"], ["lesion-size"])
    assert words in audit.findings[0].found


def test_a_small_calcification_is_no_click() -> None:
    assert judged([record(0, (500.0, 700.0, 504.0, 704.0), label=1)])[1] == []


class TestOfAWholeSet:
    SMALL_COPY = tuple((600.0 + 40 * n, 300.0 + 60 * n, 700.0 + 40 * n, 420.0 + 60 * n) for n in range(12))

    def test_masses_of_a_smaller_copy_are_noted_once(self) -> None:
        kept, codes, audit = judged([record(n, box) for n, box in enumerate(self.SMALL_COPY)])
        assert (len(kept), codes) == (12, ["lesions-displaced"])
        assert "all 12 boxes of masses lie in the upper left quarter" in audit.findings[0].found

    def test_one_box_twelve_times_proves_nothing(self) -> None:
        assert judged([record(n, self.SMALL_COPY[0]) for n in range(12)])[1] == []

    def test_one_mass_elsewhere_shows_the_scale_is_right(self) -> None:
        boxes = (*self.SMALL_COPY, TRUE_BOX)
        assert judged([record(n, box) for n, box in enumerate(boxes)])[1] == []

    def test_eleven_masses_prove_nothing(self) -> None:
        assert judged([record(n, box) for n, box in enumerate(self.SMALL_COPY[:11])])[1] == []

    def test_corners_read_as_width_and_height_are_noted(self) -> None:
        # x1, y1, x2, y2 read as x, y, width, height: each box ends at x1 + x2.
        boxes = [(400.0 + n, 700.0, 400.0 + n + 700.0, 700.0 + 1000.0 + n) for n in range(5)]
        _, codes, audit = judged([record(n, box) for n, box in enumerate(boxes)])
        assert codes == ["lesions-displaced"]
        assert "x1, y1, x2, y2 given as x, y, width, height" in audit.findings[0].found
        assert judged([record(n, box) for n, box in enumerate(boxes[:4])])[1] == []

    @pytest.mark.parametrize(
        ("share", "n", "words"), [(0.09, 3, "0.1"), (0.24, 5, "0.25"), (0.69, 100, "0.7")]
    )
    def test_the_nearer_the_corner_the_fewer_masses_tell(self, share: float, n: int, words: str) -> None:
        corner = [(share * 2900 - 40 - k, share * 3900 - 30, share * 2900, share * 3900) for k in range(n)]
        _, codes, audit = judged([record(k, box) for k, box in enumerate(corner)])
        assert codes == ["lesions-displaced"]
        assert f"upper left {words} of both sides" in audit.findings[0].found
        assert judged([record(k, box) for k, box in enumerate(corner[1:])])[1] == []
