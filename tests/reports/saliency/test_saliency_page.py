import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.reports import ReportOptions, read_run, write_report
from mammo_monai.reports.saliency.notes import SaliencyNote, file_paths, read_note, read_notes, write_note
from mammo_monai.reports.saliency.page import saliency_section, write_saliency_page
from tests.reports.scene import write_scene

NOTE = SaliencyNote(
    "0123456789abcdef", 1, 0.5, (1.0, 2.0, 3.0, 4.5), 0, "gradcam", "body.layer3", 0.25, "logit", 30, 20,
    "f" * 64, {"bundle": "some <b>", "weights_sha256": "a" * 64},
)  # fmt: skip


def lay(folder: Path, note: SaliencyNote) -> None:
    for path in file_paths(folder, note.stem).values():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 90, dtype=np.uint8)).save(path)
    write_note(folder, note)


def test_a_note_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_note(write_note(tmp_path, NOTE)) == NOTE
    whole = replace(NOTE, box=None, number=2)
    assert read_note(write_note(tmp_path, whole)) == whole


def test_a_note_that_lacks_a_field_says_which(tmp_path: Path) -> None:
    path = write_note(tmp_path, NOTE)
    content = json.loads(path.read_text())
    del content["raw_maximum"]
    path.write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=r"_1\.json: raw_maximum is missing. Make it again"):
        read_note(path)


def test_the_page_shows_every_map_highest_score_first(tmp_path: Path) -> None:
    lay(tmp_path, NOTE)
    lay(tmp_path, replace(NOTE, number=2, score=0.75, raw_maximum=0.0))
    (tmp_path / "sanity.json").write_text("{}")
    text = write_saliency_page(tmp_path, check="<p>checked</p>").read_text()
    assert text.index("score 0.75") < text.index("score 0.50")
    assert text.count("data:image/jpeg;base64,") == 6
    assert "Nothing raised this score." in text
    assert "not a diagnosis" in text
    assert "<p>checked</p>" in text
    assert "some &lt;b&gt;, weights aaaaaaaaaaaa" in text
    assert str(tmp_path) not in text
    assert [note.number for note in read_notes(tmp_path)] == [2, 1]


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no saliency map there"):
        saliency_section(tmp_path)


def test_a_report_shows_the_cards_of_a_folder(tmp_path: Path) -> None:
    lay(tmp_path / "saliency", NOTE)
    write_scene(tmp_path)
    runs = [read_run(tmp_path / "run")]
    write_report(tmp_path / "report.html", runs, options=ReportOptions(saliency=tmp_path / "saliency"))
    text = (tmp_path / "report.html").read_text()
    assert text.count("Which pixels raised this score; not a diagnosis.") == 1
    assert "0123456789abcdef, finding 1" in text
    write_report(tmp_path / "without.html", runs)
    assert "Which pixels" not in (tmp_path / "without.html").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", "high"),
        ("score", float("nan")),
        ("box", [1, 2, 3]),
        ("box", "0123"),
        ("width", 0),
        ("raw_maximum", None),
        ("layer", 3),
        ("model", []),
    ],
)
def test_a_note_with_a_wrong_field_says_which(tmp_path: Path, name: str, value: object) -> None:
    path = write_note(tmp_path, NOTE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ManifestError, match=rf"_1\.json: {name} must be a .*, got "):
        read_note(path)


def test_a_note_cannot_name_files_of_another_folder(tmp_path: Path) -> None:
    path = write_note(tmp_path, NOTE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"record_id": "../secret"}))
    with pytest.raises(ManifestError, match=r"_1\.json: this note is of '\.\./secret_1'"):
        read_note(path)
