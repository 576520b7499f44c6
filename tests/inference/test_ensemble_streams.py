"""Members are fused one image at a time: the same result whatever the format and order of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.inference import FusionRule, Member, fuse_files, fuse_members
from mammo_monai.inference.ensemble import fused_stream
from mammo_monai.inference.fusion_parts import Part
from mammo_monai.records import Detections
from mammo_monai.schema import iter_detections, write_detections

FORMATS = ("json", "jsonl", "parquet")


def films(seed: int, count: int = 7) -> list[Detections]:
    """Images with none to three marks; all of them with a score and a warning of their own."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        n_marks = (number + seed) % 4
        low = random.uniform(0, 300, (n_marks, 2))
        boxes = np.concatenate([low, low + random.uniform(20, 60, (n_marks, 2))], axis=1)
        made.append(
            Detections(
                f"r{number}",
                boxes,
                random.uniform(0, 1, n_marks),
                np.zeros(n_marks, dtype=np.int64),
                Path(f"{number}.dcm"),
                image_score=float(random.uniform(0, 1)),
                warnings=(f"untypical: for {seed}",),
                typicality=float(random.uniform(0.1, 1)),
            )
        )
    return made


def as_rows(detections: Sequence[Detections]) -> list[tuple[Any, ...]]:
    return [
        (
            each.record_id, each.image, each.boxes.tolist(), each.scores.tolist(), each.labels.tolist(),
            each.image_score, each.warnings, each.typicality,
        )
        for each in detections
    ]  # fmt: skip


@dataclass
class Counted:
    """A file's content, made anew at every pass, that knows how many images each pass has given."""

    passes: list[list[Detections]]
    given: list[int] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)

    @property
    def detections(self) -> Iterator[Detections]:
        number = len(self.given)
        self.given.append(0)
        for each in self.passes[min(number, len(self.passes) - 1)]:
            self.given[number] += 1
            yield each


def member(name: str, *passes: list[Detections]) -> Member:
    return Member(name, Counted(list(passes)), f"{name}.jsonl")


@pytest.mark.parametrize("method", ["wbf", "nms"])
def test_files_of_any_format_and_order_are_fused_alike(tmp_path: Path, method: Any) -> None:
    a, b = films(1), films(2)
    rule = FusionRule(method, weights=(1.0, 2.0) if method == "wbf" else ())
    failed = {"failed": [{"record_id": "r3", "image": "3.dcm", "error": "broken"}]}
    found = []
    for kind in FORMATS:
        write_detections(tmp_path / f"a.{kind}", a, {"bundle": "a"})
        write_detections(tmp_path / f"b.{kind}", [*b[:3], *b[4:]], {"bundle": "b", **failed})
        write_detections(tmp_path / f"c.{kind}", [*b[:3], *b[4:]][::-1], {"bundle": "b", **failed})
        for other in "bc":
            paths = [tmp_path / f"{name}.{kind}" for name in ("a", other)]
            output = tmp_path / f"fused-{other}.{kind}"
            written = fuse_files(paths, output, rule, points=[None, None], is_calibrated=False)
            assert (written.n_images, written.n_failed) == (6, 1)
            assert as_rows(written.detections) == as_rows(list(iter_detections(output)))
            found.append(as_rows(written.detections))
    assert [row[0] for row in found[0]] == ["r0", "r1", "r2", "r4", "r5", "r6"]
    assert any(row[2] for row in found[0])
    assert all(each == found[0] for each in found)


def test_members_in_step_are_read_one_image_at_a_time() -> None:
    a, b = member("a", films(1)), member("b", films(2))
    fused = fused_stream([a, b], FusionRule(), is_calibrated=False)
    first = next(fused.detections)
    assert first.record_id == "r0"
    assert [each.content.given for each in (a, b)] == [[7, 1], [7, 1]]  # type: ignore[attr-defined]  # Counted
    rest = as_rows(list(fused.detections))
    whole = fuse_members([member("a", films(1)), member("b", films(2))], FusionRule(), is_calibrated=False)
    assert as_rows([first]) + rest == as_rows(whole.detections)


@pytest.mark.parametrize("later", [films(2)[::-1], films(2)[:-1]])
def test_a_file_that_changes_while_it_is_read_is_refused(later: list[Detections]) -> None:
    fused = fused_stream(
        [member("a", films(1)), member("b", films(2), later)], FusionRule(), is_calibrated=False
    )
    with pytest.raises(ManifestError, match=r"b\.jsonl: changed while it was read"):
        list(fused.detections)


def test_an_image_that_stands_twice_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for name, rows in (("a", films(1)), ("b", [*films(2), films(2)[4]])):
        write_detections(tmp_path / f"{name}.jsonl", rows, {})
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with pytest.raises(ManifestError, match=r"b\.jsonl: record_id r4 stands twice"):
        fuse_files(paths, tmp_path / "d.jsonl", FusionRule(), points=[None] * 2, is_calibrated=False)
    assert not (tmp_path / "d.jsonl").exists()


def test_a_score_that_cannot_be_fused_names_its_image_and_leaves_no_file(tmp_path: Path) -> None:
    rows = films(2)
    rows[5].scores[0] = 7.0
    for name, each in (("a", films(1)), ("b", rows)):
        write_detections(tmp_path / f"{name}.jsonl", each, {})
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    with pytest.raises(ValueError, match=r"record r5: fusion needs scores from 0 to 1, got 7"):
        fuse_files(paths, tmp_path / "d.jsonl", FusionRule(), points=[None] * 2, is_calibrated=False)
    assert not (tmp_path / "d.jsonl").exists()


@pytest.mark.parametrize("failed", [["r9"], [{"image": "9.dcm"}], "r9", 3])
def test_failures_that_name_no_record_are_passed_over(failed: Any) -> None:
    a, b = member("a", films(1)), member("b", films(2))
    b.content.model["failed"] = failed  # type: ignore[index]  # a dict
    fused = fuse_members([a, b], FusionRule(), is_calibrated=False)
    assert (len(fused.detections), fused.model["failed"]) == (7, [])


@pytest.mark.parametrize(
    ("output", "kind"), [("d.json", "json"), ("d.jsonl", "jsonl"), ("d.parquet", "jsonl")]
)
def test_parts_of_an_archive_are_lines(tmp_path: Path, output: str, kind: str) -> None:
    assert Part(tmp_path / output, "a", {}).path == tmp_path / "d.parts" / f"a.{kind}"
