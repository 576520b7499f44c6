"""Members on the same images become one file: calibrated, fused, described; what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import MammoError, ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.inference import FusionRule, Member, fuse_files, fuse_members
from mammo_monai.inference.fusion_calibration import MemberCalibration, calibration_for
from mammo_monai.inference.fusion_files import told_apart
from mammo_monai.inference.fusion_parts import Part, part_key
from mammo_monai.inference.journal import journal_path
from mammo_monai.metrics.calibration import hit_probabilities
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import (
    Calibration,
    DetectionsFile,
    IsotonicCurve,
    Manifest,
    PlattCurve,
    read_detections,
    write_detections,
    write_manifest,
)
from tests.operating_points import write_points

BOX = [100.0, 200.0, 160.0, 290.0]
A_WEIGHTS, B_WEIGHTS = "a" * 64, "b" * 64


def found(record_id: str, *marks: tuple[float, int], image_score: float | None = None) -> Detections:
    """The same box with each score and label; none without marks."""
    return Detections(
        record_id,
        np.array([BOX] * len(marks)).reshape(-1, 4),
        np.array([score for score, _ in marks], dtype=float),
        np.array([label for _, label in marks], dtype=np.int64),
        image_score=image_score,
    )


def content_of(*detections: Detections, weights: str = A_WEIGHTS, **model: Any) -> DetectionsFile:
    return DetectionsFile(detections, {"bundle": "a", "weights_sha256": weights, **model})


def platt(slope: float = 1.0, intercept: float = 0.0, label: int = 0) -> MemberCalibration:
    return MemberCalibration(Calibration(PlattCurve(slope, intercept), 0.1, 0.1, ()), label)


def member(name: str, *detections: Detections, calibration: MemberCalibration | None = None) -> Member:
    return Member(name, content_of(*detections), f"{name}.json", calibration=calibration)


def test_scores_become_each_models_own_probabilities_before_they_are_fused() -> None:
    shy, loud = platt(1.0, 2.0), platt(1.0, -2.0)
    a = member("a", found("r", (0.2, 0)), calibration=shy)
    b = member("b", found("r", (0.9, 0)), calibration=loud)
    fused = fuse_members([a, b], FusionRule())
    expected = (
        hit_probabilities(shy.calibration.curve, [0.2])[0]
        + hit_probabilities(loud.calibration.curve, [0.9])[0]
    ) / 2
    assert fused.detections[0].scores.tolist() == pytest.approx([expected])
    assert fused.detections[0].probabilities is None  # a mean in which silence counts 0 is none
    raw = fuse_members([a, b], FusionRule(), is_calibrated=False)
    assert raw.detections[0].scores.tolist() == pytest.approx([0.55])
    told = [each.model["fusion"] for each in (fused, raw)]
    assert [each["calibrated"] for each in told] == [True, False]
    assert told[0]["members"][0]["calibration"] == {
        "method": "platt", "slope": 1.0, "intercept": 2.0, "min_score": 0.0, "label": 0,
    }  # fmt: skip
    assert told[1]["members"][0]["calibration"] is None
    assert told[0]["sha256"] != told[1]["sha256"]


def test_a_model_without_calibration_is_never_fused_by_accident() -> None:
    a = member("a", found("r", (0.2, 0)), calibration=platt())
    b = member("b", found("r", (0.9, 0)))
    with pytest.raises(ManifestError, match=r"b\.json: no calibration for the scores of b: .*--uncalibrated"):
        fuse_members([a, b], FusionRule())


def test_an_isotonic_curve_keeps_the_order_below_its_first_score() -> None:
    curve = IsotonicCurve((0.4, 0.8), (0.2, 0.9))
    calibration = MemberCalibration(Calibration(curve, 0.1, 0.1, ()), 0)
    scores = calibration(found("r", (0.0, 0), (0.1, 0), (0.2, 0), (0.4, 0), (0.8, 0), (1.0, 0)))
    assert scores.tolist() == pytest.approx([0.0, 0.05, 0.1, 0.2, 0.9, 0.9])
    assert "scores" not in calibration.describe()


def test_boxes_of_another_class_than_the_calibrated_are_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    a = member("a", found("r", (0.2, 0), (0.7, 1)), calibration=platt())
    fused = fuse_members([a, replace(a, name="b")], FusionRule())
    assert fused.detections[0].labels.tolist() == [0]
    assert fused.model["fusion"]["members"][0]["boxes_left_out"] == 1
    assert "left out 1 box of other classes" in caplog.text


def test_members_of_different_classes_are_refused_until_one_is_named() -> None:
    a, b = member("a", found("r", (0.2, 0))), member("b", found("r", (0.2, 0), (0.7, 1)))
    with pytest.raises(ManifestError, match=r"different classes \(labels: a 0; b 0, 1\).*--fuse-label"):
        fuse_members([a, b], FusionRule(), is_calibrated=False)
    named = fuse_members([a, b], FusionRule(labels=(0,)), is_calibrated=False)
    assert named.detections[0].labels.tolist() == [0]
    one, other = (replace(a, calibration=platt(label=label)) for label in (0, 1))
    with pytest.raises(ManifestError, match="are calibrated for different classes"):
        fuse_members([one, other], FusionRule())
    with pytest.raises(ManifestError, match="label 2 is not the one that the members are calibrated for"):
        fuse_members([one, one], FusionRule(labels=(2,)))


def test_a_member_that_marks_nothing_on_an_image_halves_what_the_other_marks() -> None:
    a = member("a", found("r", (0.8, 0)), found("s", (0.5, 0)))
    b = member("b", found("r", (0.8, 0)), found("s"))
    fused = fuse_members([a, b], FusionRule(), is_calibrated=False)
    assert [each.scores.tolist() for each in fused.detections] == [[0.8], [0.25]]


def test_classifiers_alone_are_fused_to_their_mean_and_need_no_calibration() -> None:
    a = member("a", found("r", image_score=0.2), found("s", image_score=1.0))
    b = member("b", found("s", image_score=1.0), found("r", image_score=0.6))
    fused = fuse_members([a, b], FusionRule(weights=(3.0, 1.0)))
    assert [each.record_id for each in fused.detections] == ["r", "s"]
    assert [each.image_score for each in fused.detections] == pytest.approx([0.3, 1.0])
    assert fused.model["fusion"]["calibrated"] is False
    assert all(len(each.boxes) == 0 for each in fused.detections)


def test_a_classifier_beside_detectors_has_no_say_about_boxes() -> None:
    a, b = (member(name, found("r", (0.8, 0)), calibration=platt()) for name in "ab")
    c = member("c", found("r", image_score=0.4))
    fused = fuse_members([a, b, c], FusionRule(weights=(1.0, 1.0, 5.0)))
    assert fused.detections[0].scores.tolist() == pytest.approx([0.8])
    assert fused.detections[0].image_score == 0.4
    # A detector that gives image scores and found nothing says so by its inferer: it counts as silent.
    silent = Member(
        "c", content_of(found("r", image_score=0.4), inference={"inferer": "FullImageInferer"}), "c"
    )
    quiet = fuse_members([a, b, silent], FusionRule(), is_calibrated=False)
    assert quiet.detections[0].scores.tolist() == pytest.approx([1.6 / 3])


def test_image_scores_of_some_images_are_refused() -> None:
    a = member("a", found("r", image_score=0.2), found("s"))
    with pytest.raises(ManifestError, match=r"a\.json: 1 of 2 images have no image_score, the first is s"):
        fuse_members([a, a], FusionRule())


def test_other_images_are_refused_by_count_and_name() -> None:
    a, b = member("a", found("r"), found("s")), member("b", found("s"), found("t"), found("u"))
    with pytest.raises(
        ManifestError, match=r"b\.json: other images than a\.json: 2 \(t, u\) .* 1 \(r\) only"
    ):
        fuse_members([a, b], FusionRule(), is_calibrated=False)


def test_images_that_failed_in_a_member_are_left_out_and_named() -> None:
    failed = [{"record_id": "s", "image": "s.dcm", "error": "broken"}]
    a = member("a", found("r", (0.5, 0)), found("s", (0.5, 0)))
    b = Member("b", content_of(found("r", (0.5, 0)), failed=failed), "b.json")
    fused = fuse_members([a, b], FusionRule(), is_calibrated=False)
    assert [each.record_id for each in fused.detections] == ["r"]
    assert fused.model["failed"] == [{**failed[0], "member": "b"}]


def points_file(path: Path, weights: str, **changes: Any) -> Path:
    inference = {"inferer": "FullImageInferer", "execution": {"batch_size": 1}}
    return write_points(path, **{"weights_sha256": (weights,), "inference": inference, **changes})


def test_files_are_fused_with_the_calibration_of_their_weights(tmp_path: Path) -> None:
    paths, points = [tmp_path / "a.json", tmp_path / "b.json"], []
    for path, weights in zip(paths, (A_WEIGHTS, B_WEIGHTS), strict=True):
        content = content_of(
            found("r", (0.5, 0)), weights=weights, inference={"inferer": "FullImageInferer", "execution": {}}
        )
        write_detections(path, content.detections, content.model)
        points.append(points_file(tmp_path / f"points-{path.name}", weights))
    content = fuse_files(paths, tmp_path / "fused.json", FusionRule(), points=points)
    assert read_detections(tmp_path / "fused.json").model == content.model
    told = content.model["fusion"]["members"]
    assert [each["name"] for each in told] == ["a", "a-2"]  # both name the bundle a
    assert told[0]["detections_sha256"] == sha256_of(paths[0])
    assert told[0]["calibration"]["operating_points_sha256"] == sha256_of(points[0])
    assert content.detections[0].scores.tolist() == pytest.approx([0.5])
    assert str(tmp_path) not in (tmp_path / "fused.json").read_text()

    def refused(message: str, kind: type[Exception] = ManifestError, **changes: Any) -> None:
        options = {"points": points, **changes}
        output = options.pop("output", tmp_path / "none.json")
        with pytest.raises(kind, match=message):
            fuse_files(paths, output, FusionRule(), **options)
        assert not (tmp_path / "none.json").exists()

    refused("for other weights than those behind", WeightsError, points=points[::-1])
    sliding = points_file(tmp_path / "p.json", A_WEIGHTS, inference={"inferer": "SectionsInferer"})
    refused("inferer FullImageInferer instead of SectionsInferer", points=[sliding, points[1]])
    bare = points_file(tmp_path / "q.json", A_WEIGHTS, calibration=None)
    refused(r"q\.json: the operating points hold no calibration", points=[bare, points[1]])
    refused("would overwrite a member", ValueError, output=paths[0])
    write_detections(paths[0], [found("r")], {"operating_point": {"fppi": 0.5}})
    refused("shows only what one operating point shows", MammoError)


def test_detections_that_do_not_say_their_weights_have_no_calibration(tmp_path: Path) -> None:
    points = points_file(tmp_path / "p.json", A_WEIGHTS)
    with pytest.raises(WeightsError, match="weights without a known SHA-256"):
        calibration_for(points, {}, detections=tmp_path / "d.json")


def test_names_are_told_apart() -> None:
    assert told_apart(["a", "a-2", "a", "a"]) == ["a", "a-2", "a-3", "a-4"]


def test_a_finished_part_stands_until_something_changes(tmp_path: Path) -> None:
    bundle, image = tmp_path / "bundle", tmp_path / "films" / "r.png"
    for path in (bundle / "configs" / "inference.json", bundle / "models" / "model.safetensors", image):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    write_manifest(tmp_path / "m.json", Manifest(test=(ImageRecord(image, "r", "p", 20, 30),)))

    def part(images: str = "m.json", **overrides: object) -> Part:
        return Part(tmp_path / "d.json", "a", part_key(bundle, [str(tmp_path / images)], overrides))

    def finished(each: Part) -> None:
        assert each.begin()
        each.path.write_text("detections")
        journal_path(each.path).touch()  # a kill before its journal was removed
        assert not each.begin()
        assert sorted(path.name for path in each.path.parent.iterdir()) == ["a.json", "a.key.json"]

    finished(part())
    assert part().path == tmp_path / "d.parts" / "a.json"
    finished(part(mode="sections"))
    finished(part("films", mode="sections"))
    finished(part("films/r.png", mode="sections"))
    image.write_text("another")
    finished(part("films/r.png", mode="sections"))
    (bundle / "configs" / "inference.json").write_text("two")
    finished(part("films/r.png", mode="sections"))
    (bundle / "models" / "training_statistics.json").write_text("told beside the marks")
    finished(part("films/r.png", mode="sections"))
    (bundle / "models" / "model.safetensors").write_text("longer")
    last = part("films/r.png", mode="sections")
    finished(last)
    last.path.unlink()  # as a kill before it was finished leaves it
    assert last.begin()
    last.path.write_text("detections")
    last.key_path.write_text("{")
    assert last.begin()
    assert not last.path.exists()
    assert Part(tmp_path / "d.json", "a", part_key(bundle, ["phantoms:x"], {})).begin()
