from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.parts import own_part
from mammo_monai.phantoms import data_set, write_phantoms

COARSE_MM = 1.0
LAYOUTS = ("cbis-ddsm", "inbreast")


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def write(root: Path, layout: str, patients: int = 2, seed: int = 9, workers: int = 1) -> Path:
    return write_phantoms(
        root, layout=layout, patients=patients, seed=seed, pixel_spacing_mm=COARSE_MM, workers=workers
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path: Path, layout: str) -> None:
    one, two = write(tmp_path / "one", layout), write(tmp_path / "two", layout, workers=2)
    assert digests(one) == digests(two)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_seed_gives_other_images(tmp_path: Path, layout: str) -> None:
    one, two = write(tmp_path / "one", layout, 1), write(tmp_path / "two", layout, 1, seed=10)
    images = [{v for k, v in digests(root).items() if k.endswith(".dcm")} for root in (one, two)]
    assert not images[0] & images[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_patient_does_not_depend_on_how_many_there_are(tmp_path: Path, layout: str) -> None:
    few, many = digests(write(tmp_path / "few", layout, 1)), digests(write(tmp_path / "many", layout, 3))
    images = {name: digest for name, digest in few.items() if name.endswith((".dcm", ".xml"))}
    assert images
    assert images.items() <= many.items()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests(write(tmp_path / "whole", layout, 3))
    original, made = data_set._write_patient, []

    def dies_at_the_second(root: Path, settings: data_set._Settings, index: int) -> int:
        if index == 1:
            (root / ".half.dcm.x.part.dcm").write_bytes(b"half")
            raise KeyboardInterrupt
        made.append(index)
        return original(root, settings, index)

    monkeypatch.setattr(data_set, "_write_patient", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "resumed", layout, 3)
    assert not (tmp_path / "resumed" / "phantoms.json").exists()
    monkeypatch.setattr(data_set, "_write_patient", original)
    seen: list[tuple[int, int]] = []
    write_phantoms(
        tmp_path / "resumed",
        layout=layout,
        patients=3,
        seed=9,
        pixel_spacing_mm=COARSE_MM,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert made == [0]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert digests(tmp_path / "resumed") == whole


def test_what_another_run_is_writing_at_the_same_time_is_left_alone(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "inbreast", 1)
    with own_part(root / "AllDICOMs" / "another.dcm") as part:
        write(root, "inbreast", 1)
        assert part.exists()
        part.unlink()


def test_a_larger_number_adds_patients_and_a_smaller_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "inbreast", 1)
    write(root, "inbreast", 2)
    assert digests(root) == digests(write(tmp_path / "fresh", "inbreast", 2))
    with pytest.raises(ManifestError, match="already holds 2 phantom patients, asked for 1"):
        write(root, "inbreast", 1)


def test_other_phantoms_in_the_folder_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "inbreast", 1)
    with pytest.raises(ManifestError, match=r"settings\.json: expected .*'seed': 10.* found .*'seed': 9"):
        write(root, "inbreast", 1, seed=10)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ManifestError, match="is not empty and holds no phantoms"):
        write(tmp_path, "inbreast", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_summary_names_layout_seed_patients_and_the_fixed_salt(film_root: Path) -> None:
    summary = json.loads((film_root / "phantoms.json").read_text())
    assert summary == {
        "layout": "cbis-ddsm",
        "seed": 5,
        "pixel_spacing_mm": 0.6,
        "version": data_set.VERSION,
        "patients": 7,
        "salt": "phantoms",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "ddsm"}, "layout must be one of cbis-ddsm, inbreast, got 'ddsm'"),
        ({"patients": 0}, "patients must lie in"),
        ({"workers": 0}, "workers must lie in"),
        ({"seed": -1}, "seed must lie in"),
        ({"pixel_spacing_mm": 0.0}, "pixel_spacing_mm must lie in"),
    ],
)
def test_misuse_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {"layout": "inbreast", "patients": 1, "seed": 0, **changes}
    with pytest.raises(ValueError, match=message):
        write_phantoms(tmp_path / "set", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_a_full_table_survives_a_lost_patient_file(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "inbreast", 2)
    whole = digests(root)
    shutil.rmtree(root / "AllDICOMs")
    for marker in (root / ".phantoms").glob("patient_*.json"):
        marker.unlink()
    write(root, "inbreast", 2)
    assert digests(root) == whole
