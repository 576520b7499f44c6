"""A model that scores whole images alone, in tables and every format: areas, figures, nothing of boxes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.cli.main import main
from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.records import Detections, ImageRecord, Laterality, Lesion
from mammo_monai.reports.plots import patients_svg, save_patients_plot
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import fold_table
from mammo_monai.reports.tables.image_tables import (
    against_words,
    image_counts,
    image_figure_table,
    image_headline,
    image_lines,
    score_words,
)
from mammo_monai.reports.tables.run_tables import headline, summary_table
from mammo_monai.reports.tables.table_list import measured_tables
from mammo_monai.schema import Manifest, write_detections, write_manifest
from tests.reports.scene import FOUND, HEIGHT, WIDTH, detections_of

RULE = FrocRule(n_bootstrap=40, positive="malignant")


def records() -> list[ImageRecord]:
    """Both breasts of twelve patients; half of the left ones malignant, two images of unknown class."""
    found = []
    for n in range(24):
        is_malignant = n % 4 == 0
        lesions = (Lesion(FOUND, pathology="MALIGNANT"),) if is_malignant else ()
        birads = 3 if n in (3, 7) else 1
        side = Laterality.RIGHT if n % 2 else Laterality.LEFT
        image = ImageRecord(Path(f"{n}.png"), f"{n:016x}", f"p{n // 2}", WIDTH, HEIGHT, lesions, side)
        found.append(replace(image, birads=None if is_malignant else birads))
    return found


def scores(seed: int) -> list[Detections]:
    rng = np.random.default_rng(seed)
    return [
        Detections(
            each.record_id, image_score=float(np.clip(rng.normal(0.35 + 0.3 * bool(each.lesions), 0.2), 0, 1))
        )
        for each in records()
    ]


@pytest.fixture(scope="module")
def classifier() -> Run:
    return Run("classifier", evaluate_detections(records(), scores(0), rule=RULE))


@pytest.fixture(scope="module")
def detector() -> Run:
    marks = [detections_of(each.record_id, (FOUND, 0.1 + n / 30)) for n, each in enumerate(records())]
    return Run("detector", evaluate_detections(records(), marks, rule=FrocRule(n_bootstrap=0)))


def test_the_headline_is_the_area_and_names_the_images(classifier: Run) -> None:
    text = headline(classifier)
    assert text.startswith("AUC 0.")
    assert "% CI" in text
    assert text.endswith(
        "per image; 22 images, 6 malignant and 16 not, 2 of unknown class left out, 12 patients"
    )
    undefined = Run("none", {**classifier.metrics, "roc": []})
    assert image_headline(undefined) == "AUC undefined: it needs positive and negative images"
    assert image_counts(undefined).startswith("22 images, 2 of unknown class left out")


def test_no_table_speaks_of_boxes(classifier: Run) -> None:
    captions = [table.caption for table in measured_tables([classifier])]
    assert [each.split(",")[0].split(";")[0].split(":")[0] for each in captions] == [
        "What was scored",
        "ROC by the score of each image",
        "Images",
    ]
    assert summary_table([classifier]).rows[0][5:] == ("–", "–", "–")


def test_figures_stand_at_the_threshold_and_youdens_are_called_too_good(classifier: Run) -> None:
    table = image_figure_table([classifier])
    assert table is not None
    assert table.header[2:5] == ("malignant", "not", "score at least")
    assert [row[1] for row in table.rows] == ["image"] * 2 + ["breast"] * 2 + ["patient"] * 2
    assert table.rows[0][4] == "0.5"
    assert table.rows[1][4].endswith(" (Youden)")
    assert "too good for new ones" in table.notes[0]
    assert table.notes[1].startswith("classifier: 2 images left out")


def test_undefined_figures_are_dashes(classifier: Run) -> None:
    sick = [each for each in records() if each.lesions]
    marks = [Detections(each.record_id, image_score=0.2) for each in sick]
    run = Run("sick", evaluate_detections(sick, marks, rule=FrocRule(n_bootstrap=0)))
    table = image_figure_table([run])
    assert table is not None
    assert table.rows[0][5:] == ("0.00 (0.00–0.39)ᵂ", "0.00 (0.00–0.39)ᵂ", "–", "–", "–")
    assert not table.notes
    assert image_lines(run)[0].startswith("run ")


def test_a_detector_has_none_of_this(detector: Run) -> None:
    assert image_figure_table([detector]) is None
    assert image_lines(detector) == []
    assert headline(detector).startswith("sensitivity")


def test_words_fit_what_is_compared(classifier: Run, detector: Run) -> None:
    assert against_words([classifier]) == "those malignant against those that are not"
    assert against_words([detector]) == "those with a lesion against those without"
    assert against_words([classifier, detector]) == "those positive against those negative"
    assert score_words([detector]) == "the highest score of each image, breast or patient"
    assert score_words([classifier, detector]).endswith("; of detectors by " + score_words([detector]))


def test_folds_have_a_mean_area(classifier: Run) -> None:
    folds = tuple(Run("classifier", evaluate_detections(records(), scores(n), rule=RULE)) for n in range(2))
    table = fold_table([replace(classifier, folds=folds)])
    assert table is not None
    assert [row[0] for row in table.rows] == ["AUC per image", "AUC per breast", "AUC per patient"]
    areas = [fold.metrics["roc"][0]["auc"] for fold in folds]
    assert table.rows[0][1] == f"{np.mean(areas):.2f} ± {np.std(areas, ddof=1):.2f}"


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    write_manifest(
        tmp_path / "m.json",
        Manifest(test=tuple(replace(each, image=tmp_path / each.image) for each in records())),
    )
    for n in range(2):
        (tmp_path / f"run{n}").mkdir()
        write_detections(tmp_path / f"run{n}" / "detections.json", scores(n), {"name": f"model {n}"})
    return tmp_path


def verb(folder: Path, *words: str) -> int:
    return main([str(folder / each) if (folder / each).exists() or "." in each else each for each in words])


def test_evaluate_report_and_compare_say_nothing_of_boxes(
    two_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--manifest", "m.json", "--positive", "malignant", "--bootstrap", "30")
    for n in range(2):
        assert (
            verb(two_runs, "evaluate", f"run{n}/detections.json", "-o", f"run{n}/metrics.json", *options) == 0
        )
    printed = capsys.readouterr().out
    assert printed.startswith("AUC per image: 0.")
    assert "sensitivity" in printed
    assert "FPPI" not in printed
    page = two_runs / "c.html"
    compared = ("compare", "run0", "run1", *options, "--permutations", "20", "-o", "c.html", "--csv", "c.csv")
    assert verb(two_runs, *compared) == 0
    printed = capsys.readouterr().out
    assert "AUC per image" in printed
    assert "FPPI" not in printed
    assert "JAFROC" not in printed
    assert "Images, breasts, patients" in page.read_text()
    assert "FROC curves" not in page.read_text()
    with (two_runs / "c.csv").open() as stream:
        assert [row["fppi"] for row in csv.DictReader(stream)] == [
            "AUC per image",
            "AUC per breast",
            "AUC per patient",
        ]
    for name in ("r.html", "r.csv", "r.tex"):
        assert verb(two_runs, "report", "run0", "run1", "--manifest", "m.json", "-o", name) == 0
    report = (two_runs / "r.html").read_text()
    assert "this model scores whole images and marks no place" in report
    assert "Area under the ROC curve per image" in report
    assert "froc_curve" not in (two_runs / "r.csv").read_text()
    assert "image_accuracy_at_score" in (two_runs / "r.csv").read_text()


def test_where_nothing_compares_it_is_said(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sick = Manifest(test=tuple(each for each in records() if each.lesions))
    write_manifest(two_runs / "m.json", Manifest(test=sick.test))
    for n in range(2):
        marks = [Detections(each.record_id, image_score=0.5) for each in sick.test]
        write_detections(two_runs / f"run{n}" / "detections.json", marks, {"name": f"model {n}"})
    words = ("compare", "run0", "run1", "--manifest", "m.json", "--bootstrap", "0", "-o", "c.html")
    assert verb(two_runs, *words) == 0
    assert capsys.readouterr().out.startswith("nothing compares: one of the two marks no place")
    assert "Nothing compares" in (two_runs / "c.html").read_text()


def test_areas_are_drawn_over_the_number_of_patients(classifier: Run, tmp_path: Path) -> None:
    runs = {20: classifier, 5: classifier}
    svg = patients_svg(runs, size_in=(5.6, 4.1), salt="s")
    assert svg.startswith("<svg")
    assert "patients it was fine-tuned on" in svg
    save_patients_plot(tmp_path / "curve.png", runs)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    empty = Run("none", {**classifier.metrics, "roc": []})
    assert patients_svg({5: empty}, size_in=(5.6, 4.1), salt="s") == ""
    with pytest.raises(ValueError, match="no run has an area under the ROC curve per breast"):
        save_patients_plot(tmp_path / "curve.png", {5: empty}, level="breast")
    with pytest.raises(ValueError, match="a number of patients must be at least 1, got 0"):
        save_patients_plot(tmp_path / "curve.png", {0: classifier})
