"""Every fault of a download, through the command: the right row, exit code and image; all others stay."""

from __future__ import annotations

import csv
import errno
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mammo_monai.cli.main import main
from mammo_monai.phantoms import SALT, write_phantoms
from mammo_monai.phantoms.faults import FAULTS, PlantedFault, break_phantoms
from mammo_monai.phantoms.written_tree import images_of, tables_of
from mammo_monai.records import record_id_of
from mammo_monai.schema import Finding, Manifest, read_audit, read_manifest

REFUSED = ("unknown-delimiter", "truncated-table")
# Code and action of each fault's row; None where the data set is read as if nothing were wrong.
EXPECTED: dict[str, dict[str, tuple[str, str] | None]] = {
    "cbis-ddsm": {
        "truncated-dicom": ("file-truncated", "quarantined"),
        "zero-byte-file": ("file-truncated", "quarantined"),
        "text-for-dicom": ("dicom-unusable", "quarantined"),
        "missing-image": ("image-missing", "quarantined"),
        "mirrored-pixels": ("laterality-picture", "warned"),
        "duplicate-same-bytes": ("file-repeated", "repaired"),
        "duplicate-other-bytes": ("image-ambiguous", "quarantined"),
        "wrong-laterality": ("laterality-differs", "warned"),
        "swapped-crop-and-mask": None,
        "missing-mask": ("mask-missing", "quarantined"),
        "all-zero-mask": ("mask-empty", "quarantined"),
        "mask-other-size": ("mask-rescaled", "repaired"),
        "mask-other-field": ("mask-aspect", "quarantined"),
        "other-delimiter": None,
        "other-line-breaks": None,
        "byte-order-mark": None,
        "extra-files": None,
    },
    "inbreast": {
        "truncated-dicom": ("file-truncated", "quarantined"),
        "zero-byte-file": ("dicom-unusable", "quarantined"),
        "text-for-dicom": ("dicom-unusable", "quarantined"),
        "missing-image": ("image-missing", "quarantined"),
        "duplicate-same-bytes": ("uid-repeated", "repaired"),
        "duplicate-other-bytes": ("uid-conflict", "quarantined"),
        "wrong-laterality": ("identity-differs", "quarantined"),
        "missing-contours": ("contour-missing", "quarantined"),
        "xml-bomb": ("xml-unusable", "quarantined"),
        "dot-only-contours": ("mass-is-dot", "warned"),
        "mirrored-pixels": None,
        "other-delimiter": None,
        "other-line-breaks": None,
        "byte-order-mark": None,
        "extra-files": None,
    },
}
EACH = [(layout, name) for layout, faults in EXPECTED.items() for name in faults]


@dataclass(frozen=True)
class Made:
    """What the command left of a broken tree."""

    root: Path
    out: Path
    code: int
    fault: PlantedFault

    @property
    def findings(self) -> list[Finding]:
        return read_audit(self.out.with_name("audit.csv")).get(self.out.name, [])

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Phantoms of both layouts, written once; tests break copies."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        layout: write_phantoms(folder / layout, layout=layout, patients=4, seed=4, pixel_spacing_mm=1.2)
        for layout in FAULTS
    }


def make(whole: dict[str, Path], folder: Path, layout: str, name: str, *options: str) -> Made:
    root = shutil.copytree(whole[layout], folder / "data")
    (fault,) = break_phantoms(root, layout=layout, faults=[name], seed=5)
    out = folder / "out" / "m.json"
    return Made(root, out, main(["manifest", layout, str(root), "-o", str(out), *options]), fault)


def ids(root: Path) -> set[str]:
    return {record_id_of(image.sop_instance_uid, SALT) for image in images_of(root)}


def places(root: Path, fault: PlantedFault) -> set[str]:
    image = next(each for each in images_of(root) if each.name == fault.image)
    return {
        f"{table.path.name} row {number}"
        for table in tables_of(root)
        for number, row in enumerate(table.rows, start=1)
        if row in table.rows_of(image)
    }


def test_every_fault_has_its_expectation() -> None:
    assert {layout: {*EXPECTED[layout], *REFUSED} for layout in EXPECTED} == {
        layout: {*names} for layout, names in FAULTS.items()
    }


@pytest.mark.parametrize(("layout", "name"), EACH)
def test_a_fault_is_a_row_about_its_image_and_the_others_stay(
    whole: dict[str, Path], tmp_path: Path, layout: str, name: str
) -> None:
    made, expected = make(whole, tmp_path, layout, name), EXPECTED[layout][name]
    own, every = record_id_of(made.fault.sop_instance_uid, SALT), ids(whole[layout])
    kept = {record.record_id for record in made.manifest.images()}
    if expected is None:
        assert (made.code, made.findings, made.manifest.quarantined) == (0, [], ())
        assert kept == every
        return
    rows = [
        each
        for each in made.findings
        if each.record_id == own or each.place in places(whole[layout], made.fault)
    ]
    assert expected in [(each.code, each.action.value) for each in rows]
    assert made.code == (0 if expected[1] == "repaired" else 1)
    # Whatever is left out, it is this image alone; of two that contradict each other, both.
    assert every - kept <= {own}
    is_left_out = expected[1] == "quarantined"
    assert (own not in kept) is is_left_out
    copies = 2 if (layout, name) == ("inbreast", "duplicate-other-bytes") else 1
    assert len(made.manifest.quarantined) == copies * is_left_out


@pytest.mark.parametrize(("layout", "name"), [("cbis-ddsm", "mask-other-size"), ("inbreast", "extra-files")])
def test_what_is_repaired_gives_the_boxes_of_the_whole_data_set(
    whole: dict[str, Path], tmp_path: Path, layout: str, name: str
) -> None:
    made = make(whole, tmp_path, layout, name)
    main(["manifest", layout, str(whole[layout]), "-o", str(tmp_path / "whole.json")])
    boxes = [
        {record.record_id: record.boxes.tolist() for record in manifest.images()}
        for manifest in (made.manifest, read_manifest(tmp_path / "whole.json"))
    ]
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize("layout", EXPECTED)
@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(
    whole: dict[str, Path], tmp_path: Path, layout: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(whole, tmp_path, layout, name)
    captured = capsys.readouterr()
    assert made.code == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("mammo-monai manifest: ")
    assert ".csv" in line
    assert "Traceback" not in line
    assert not made.out.exists()


@pytest.mark.parametrize("layout", EXPECTED)
def test_nothing_is_half_written_and_no_name_reaches_the_audit(
    whole: dict[str, Path], tmp_path: Path, layout: str
) -> None:
    made = make(whole, tmp_path, layout, "truncated-dicom")
    written = {path.name for path in made.out.parent.iterdir()}
    assert {"m.json", "audit.csv", "audit.html"} <= written <= {"m.json", "audit.csv", "audit.html", "m.salt"}
    with made.out.with_name("audit.csv").open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 1 + len(made.findings)
    names = {str(tmp_path), *(Path(image.name).name for image in images_of(made.root))} - {"000000.dcm"}
    names |= {image.patient_id for image in images_of(made.root)}
    for name in ("audit.csv", "audit.html"):
        text = made.out.with_name(name).read_text(encoding="utf-8")
        assert [each for each in names if each in text] == []


@pytest.mark.parametrize("layout", EXPECTED)
def test_a_strict_run_writes_no_manifest_but_its_audit(
    whole: dict[str, Path], tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(whole, tmp_path, layout, "truncated-dicom", "--strict")
    assert made.code == 2
    assert not made.out.exists()
    assert "file-truncated" in [each.code for each in made.findings]
    assert "cut short" in capsys.readouterr().err


def test_a_disk_that_is_full_before_the_page_is_written_leaves_no_manifest(
    whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, f"could not write {path}")

    monkeypatch.setattr("mammo_monai.reports.audit.page.write_audit_page", full)
    assert main(["manifest", "inbreast", str(whole["inbreast"]), "-o", str(tmp_path / "m.json")]) == 2
    assert not (tmp_path / "m.json").exists()


def test_a_data_set_without_any_usable_image_is_refused(
    whole: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(whole["inbreast"], tmp_path / "data")
    for path in root.rglob("*.dcm"):
        path.write_bytes(b"")
    assert main(["manifest", "inbreast", str(root), "-o", str(tmp_path / "m.json")]) == 2
    assert not (tmp_path / "m.json").exists()
    assert "no image can be used" in capsys.readouterr().err


def test_a_whole_data_set_passes_its_check_and_a_changed_one_does_not(
    whole: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = shutil.copytree(whole["inbreast"], tmp_path / "data"), tmp_path / "m.json"
    assert main(["manifest", "inbreast", str(root), "-o", str(out)]) == 0
    before = out.read_bytes()
    assert main(["manifest", "check", str(out), "--pictures"]) == 0
    (fault,) = break_phantoms(root, layout="inbreast", faults=["mirrored-pixels"], seed=5)
    assert main(["manifest", "check", str(out)]) == 2
    findings = read_audit(tmp_path / "audit.csv")
    assert [each.code for each in findings["m.json check"]] == ["file-changed"]
    assert "m.json" not in findings
    capsys.readouterr()
    assert main(["manifest", "check", str(out), "--pictures"]) == 2
    codes = {each.code for each in read_audit(tmp_path / "audit.csv")["m.json check"]}
    assert codes == {"file-changed", "laterality-picture"}
    (root / fault.image).unlink()
    assert main(["manifest", "check", str(out)]) == 2
    assert [each.code for each in read_audit(tmp_path / "audit.csv")["m.json check"]] == ["file-missing"]
    assert out.read_bytes() == before


def test_a_mended_file_is_told_by_the_check(whole: dict[str, Path], tmp_path: Path) -> None:
    made = make(whole, tmp_path, "inbreast", "truncated-dicom")
    shutil.copyfile(whole["inbreast"] / made.fault.image, made.root / made.fault.image)
    assert main(["manifest", "check", str(made.out)]) == 1
    (finding,) = read_audit(made.out.with_name("audit.csv"))["m.json check"]
    assert (finding.code, finding.place) == ("quarantine-mended", made.manifest.quarantined[0].place)
    assert main(["manifest", "inbreast", str(made.root), "-o", str(made.out)]) == 0
    assert main(["manifest", "check", str(made.out)]) == 0
