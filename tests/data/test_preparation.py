from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mammo_monai.data import load_samples, preparation, prepare_manifest, prepared_image
from mammo_monai.data.prepared_folder import LOCK, locked
from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.records import ImageRecord, Laterality
from mammo_monai.schema import Manifest, read_audit, read_manifest, write_manifest
from mammo_monai.transforms import Recipe, image_recipe
from mammo_monai.transforms.load import load_image
from mammo_monai.transforms.prepared_file import read_preparation
from tests.warm import Warm, warm  # a fixture

__all__ = ["warm"]

RECIPE = image_recipe(size_px=40)


def images_in(out: Path) -> list[Path]:
    return sorted((out / "images").iterdir())


def prepared(manifest: Path, out: Path, recipe: Recipe = RECIPE, **options: Any) -> preparation.PreparedSet:
    return prepare_manifest(read_manifest(manifest), out, recipe, **options)


def changed_record(manifest: Path, number: int, **fields: Any) -> None:
    """Rewrites a manifest with one training record changed."""
    content = read_manifest(manifest)
    training = list(content.training)
    training[number] = replace(training[number], **fields)
    write_manifest(manifest, replace(content, training=tuple(training)))


def test_the_prepared_manifest_holds_the_same_records_with_other_images(
    manifest: Path, tmp_path: Path
) -> None:
    done = prepared(manifest, tmp_path / "out")
    assert (done.made, done.kept, done.failed, done.stale) == (6, 0, (), 0)
    ours, theirs = read_manifest(done.path), read_manifest(manifest)
    assert done.n_bytes == sum(path.stat().st_size for path in images_in(tmp_path / "out"))
    for split in ("training", "validation", "test"):
        for mine, other in zip(ours.images(split), theirs.images(split), strict=True):
            assert mine.image.parent == tmp_path / "out" / "images"
            assert mine.file_size == mine.image.stat().st_size
            assert mine.prepared is not None
            assert mine.prepared["recipe"] == RECIPE.as_json()
            assert mine.image.name == f"{mine.record_id}-{mine.prepared['key'][:16]}.png"
            assert replace(mine, image=other.image, file_size=None, prepared=None) == other
    assert ours.about["prepared"]["recipe"] == RECIPE.as_json()
    assert read_audit(tmp_path / "out" / "audit.csv").get("manifest.json", []) == []


def test_the_folder_works_without_the_originals_and_elsewhere(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    shutil.rmtree(manifest.parent / "films")
    shutil.move(tmp_path / "out", tmp_path / "server")
    assert len(load_samples(tmp_path / "server")) == 6
    text = (tmp_path / "server" / "manifest.json").read_text()
    assert str(tmp_path) not in text


def test_no_path_and_no_time_stands_in_a_copy(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    record = read_manifest(manifest).training[0]
    content = images_in(tmp_path / "out")[0].read_bytes()
    for secret in (record.image.stem, record.patient_id, str(record.image.stat().st_mtime_ns)):
        assert secret.encode() not in content


def test_a_second_run_reads_no_original_and_keeps_every_copy(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(manifest, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in images_in(tmp_path / "out")}

    def forbidden(*_: object) -> None:
        raise AssertionError("an original was read")

    monkeypatch.setattr(prepared_image, "load_image", forbidden)
    monkeypatch.setattr(prepared_image, "sha256_of", forbidden)
    seen: list[tuple[int, int]] = []
    done = prepared(manifest, tmp_path / "out", on_progress=lambda *each: seen.append(each))
    assert (done.made, done.kept) == (0, 6)
    assert {path: path.stat().st_mtime_ns for path in images_in(tmp_path / "out")} == before
    assert seen == [(6, 6)]


def test_a_touched_original_is_hashed_but_not_prepared_again(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    os.utime(read_manifest(manifest).training[0].image, ns=(1, 1))
    copies = images_in(tmp_path / "out")
    before = [path.stat().st_mtime_ns for path in copies]
    prepared(manifest, tmp_path / "out")
    assert [path.stat().st_mtime_ns for path in copies] == before


def test_a_changed_original_is_prepared_anew_under_another_name(manifest: Path, tmp_path: Path) -> None:
    first = prepared(manifest, tmp_path / "out")
    old = read_manifest(first.path).training[0].image
    path = read_manifest(manifest).training[0].image
    with Image.open(path) as picture:
        brighter = picture.point(lambda value: min(255, value + 9))
    brighter.save(path)
    done = prepared(manifest, tmp_path / "out")
    assert (done.made, done.kept, done.stale) == (1, 5, 1)
    assert read_manifest(done.path).training[0].image != old
    assert old.exists()


def test_the_manifests_hash_is_believed_only_while_the_size_agrees(manifest: Path, tmp_path: Path) -> None:
    path = read_manifest(manifest).training[0].image
    changed_record(manifest, 0, sha256="ab" * 32, file_size=path.stat().st_size)
    done = prepared(manifest, tmp_path / "out")
    about = read_preparation(read_manifest(done.path).training[0].image)
    assert about.source_sha256 == "ab" * 32
    changed_record(manifest, 0, sha256="ab" * 32, file_size=path.stat().st_size + 1)
    done = prepared(manifest, tmp_path / "other")
    assert read_preparation(read_manifest(done.path).training[0].image).source_sha256 == sha256_of(path)


def test_another_recipe_makes_new_files_and_pruning_deletes_the_old_ones_only(
    manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepared(manifest, out)
    (out / "images" / "notes.png").write_text("not ours")
    done = prepared(manifest, out, image_recipe(size_px=30))
    assert (done.made, done.kept, done.stale, done.pruned) == (6, 0, 6, 0)
    assert len(images_in(out)) == 13
    done = prepared(manifest, out, image_recipe(size_px=30), prune=True)
    assert (done.made, done.kept, done.stale, done.pruned) == (0, 6, 0, 6)
    assert len(images_in(out)) == 7
    assert (out / "images" / "notes.png").exists()
    assert len(load_samples(out)) == 6


def test_a_corrected_laterality_is_prepared_anew(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    changed_record(manifest, 0, laterality=Laterality.RIGHT)
    assert prepared(manifest, tmp_path / "out").made == 1


def test_a_corrected_spacing_matters_only_where_it_sets_the_size(manifest: Path, tmp_path: Path) -> None:
    by_spacing = image_recipe(preset="fixed_spacing", spacing_mm=0.4)
    prepared(manifest, tmp_path / "spacing", by_spacing)
    prepared(manifest, tmp_path / "out")
    changed_record(manifest, 0, pixel_spacing_mm=(0.1, 0.1))
    assert prepared(manifest, tmp_path / "spacing", by_spacing).made == 1
    assert prepared(manifest, tmp_path / "out").made == 0


def test_new_lesions_need_no_new_copies(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    changed_record(manifest, 0, lesions=())
    done = prepared(manifest, tmp_path / "out")
    assert done.made == 0
    assert read_manifest(done.path).training[0].lesions == ()


@pytest.mark.parametrize("damage", [b"", b"half"])
def test_a_damaged_copy_is_made_again(
    manifest: Path, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    prepared(manifest, out)
    victim = images_in(out)[2]
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2] if damage else b"")
    assert prepared(manifest, out).made == 1
    assert victim.read_bytes() == whole
    assert "prepared again" in caplog.text


def test_half_written_files_of_a_killed_run_are_removed(manifest: Path, tmp_path: Path) -> None:
    images = tmp_path / "out" / "images"
    images.mkdir(parents=True)
    left = images / f".{0:016x}-{'a' * 16}.png.0123abcd.part.png"
    left.write_bytes(b"half")
    halves = (".manifest.json.0123abcd.part.json", ".audit.csv.0123abcd.part.csv")
    listed = [images.parent / name for name in halves]
    foreign = images.parent / ".notes.txt.0123abcd.part.txt"
    for path in (*listed, foreign):
        path.write_bytes(b"half")
    prepared(manifest, tmp_path / "out")
    assert [path.exists() for path in (left, *listed, foreign)] == [False, False, False, True]


def test_copies_of_originals_that_are_out_of_reach_are_never_pruned(manifest: Path, tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away.png"
    prepared(manifest, out, image_recipe(size_px=30))
    prepared(manifest, out)
    original = read_manifest(manifest).training[0].image
    original.rename(away)
    done = prepared(manifest, out, prune=True)
    assert (done.kept, len(done.failed), done.pruned) == (5, 1, 5)
    away.rename(original)
    assert prepared(manifest, out).kept == 6


def test_originals_that_are_all_out_of_reach_leave_manifest_and_audit_as_they_were(
    manifest: Path, tmp_path: Path
) -> None:
    done = prepared(manifest, tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in ("manifest.json", "audit.csv")}
    (manifest.parent / "films").rename(tmp_path / "away")
    with pytest.raises(
        ManifestError, match=r"none of 6 images can be prepared.*no such file\. Was the data set"
    ):
        prepared(manifest, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert len(images_in(tmp_path / "out")) == len(read_manifest(done.path).images())


def test_images_that_fail_are_quarantined_and_the_others_go_on(
    manifest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, gone = (record.image for record in read_manifest(manifest).training[:2])
    broken.write_bytes(b"broken")
    gone.unlink()
    done = prepared(manifest, tmp_path / "out")
    assert (done.made, len(done.failed)) == (4, 2)
    content = read_manifest(done.path)
    assert [record.record_id for record in content.training] == [f"{n:016x}" for n in (2, 3)]
    assert [(each.record_id, each.code) for each in content.quarantined] == [
        (f"{n:016x}", "prepare-unreadable") for n in (0, 1)
    ]
    rows = read_audit(tmp_path / "out" / "audit.csv")["manifest.json"]
    assert [(row.record_id, row.action.value) for row in rows] == [
        (f"{n:016x}", "quarantined") for n in (0, 1)
    ]
    assert "cannot be read as an image" in rows[0].found
    assert rows[1].found == "no such file. Was the data set moved without its manifest?"
    assert "film" not in (tmp_path / "out" / "audit.csv").read_text()
    assert str(broken) in caplog.text
    # A mended file comes back, without a trace of the fault.
    shutil.copy(read_manifest(manifest).training[2].image, broken)
    shutil.copy(broken, gone)
    done = prepared(manifest, tmp_path / "out")
    assert (done.made, done.kept, done.failed) == (2, 4, ())
    assert read_manifest(done.path).quarantined == ()
    assert read_audit(tmp_path / "out" / "audit.csv").get("manifest.json", []) == []


def test_images_left_out_of_the_original_stay_left_out(manifest: Path, tmp_path: Path) -> None:
    from mammo_monai.schema import Quarantined

    content = replace(
        read_manifest(manifest),
        quarantined=(Quarantined("ff" * 8, "mask-missing"),),
        about={"layout": "home-made"},
    )
    write_manifest(manifest, content)
    ours = read_manifest(prepared(manifest, tmp_path / "out").path)
    assert [each.record_id for each in ours.quarantined] == ["ff" * 8]
    assert ours.about["layout"] == "home-made"


def test_no_readable_image_is_an_error_and_leaves_no_manifest(manifest: Path, tmp_path: Path) -> None:
    for path in (manifest.parent / "films").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ManifestError, match=r"none of 6 images can be prepared; the first: .*film0\.png"):
        prepared(manifest, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert len(read_audit(tmp_path / "out" / "audit.csv")["manifest.json"]) == 6


def test_a_file_that_changes_while_it_is_read_is_left_out(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def growing(path: Path) -> object:
        loaded = load_image(path)
        if path.name == "film2.png":
            with path.open("ab") as stream:
                stream.write(b"more")
        return loaded

    monkeypatch.setattr(prepared_image, "load_image", growing)
    done = prepared(manifest, tmp_path / "out")
    assert [each.record_id for each in done.failed] == [f"{2:016x}"]
    assert "changed while it was read" in done.failed[0].reason


def test_an_original_manifest_is_never_overwritten(manifest: Path) -> None:
    before = manifest.read_bytes()
    with pytest.raises(ManifestError, match=r"manifest\.json: this is no prepared manifest and would be"):
        prepared(manifest, manifest.parent)
    (manifest.parent / "other").mkdir()
    (manifest.parent / "other" / "manifest.json").write_text("{}")
    with pytest.raises(ManifestError, match="no prepared manifest"):
        prepared(manifest, manifest.parent / "other")
    assert manifest.read_bytes() == before


def test_a_prepared_manifest_cannot_be_prepared(manifest: Path, tmp_path: Path) -> None:
    done = prepared(manifest, tmp_path / "out")
    with pytest.raises(ManifestError, match="these images are prepared already"):
        prepared(done.path, tmp_path / "again")


def test_another_data_set_does_not_take_over_the_folder(manifest: Path, tmp_path: Path) -> None:
    prepared(manifest, tmp_path / "out")
    content = read_manifest(manifest)
    other = Manifest(test=tuple(replace(each, record_id=f"f{each.record_id[1:]}") for each in content.test))
    with pytest.raises(ManifestError, match="prepared from another data set"):
        prepare_manifest(other, tmp_path / "out", RECIPE)


def test_a_record_id_that_is_no_file_name_is_hashed(manifest: Path, tmp_path: Path) -> None:
    changed_record(manifest, 0, record_id="../film 1")
    done = prepared(manifest, tmp_path / "out")
    record = read_manifest(done.path).training[0]
    assert record.record_id == "../film 1"
    assert record.image.parent == tmp_path / "out" / "images"
    assert prepared(manifest, tmp_path / "out").kept == 6


def test_two_runs_in_one_folder_are_refused_and_the_lock_ends_with_its_run(
    manifest: Path, tmp_path: Path
) -> None:
    with (
        locked(tmp_path / "out"),
        pytest.raises(ManifestError, match=rf"prepare \(process {os.getpid()} on "),
    ):
        prepared(manifest, tmp_path / "out")
    assert (tmp_path / "out" / LOCK).exists()
    assert prepared(manifest, tmp_path / "out").made == 6


def test_a_file_system_without_locks_is_used_with_a_warning(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert prepared(manifest, tmp_path / "out").made == 6
    assert "this file system has no locks" in caplog.text


def test_a_folder_that_cannot_be_written_is_one_clear_error(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"could not write .*file.*: .*Choose another --out") as refused:
        prepared(manifest, tmp_path / "file")
    assert refused.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_disk_that_will_not_hold_the_set_is_refused_after_the_first_images(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preparation, "MEASURED", 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(OSError, match=r"4 images to prepare, about .* \(measured on 2\), 1\.00 kB are free"):
        prepared(manifest, tmp_path / "out")
    assert len(images_in(tmp_path / "out")) == 2
    monkeypatch.undo()
    done = prepared(manifest, tmp_path / "out")
    assert (done.made, done.kept) == (4, 2)


def test_the_room_needed_is_logged_before_most_is_done(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparation, "MEASURED", 2)
    with caplog.at_level(logging.INFO):
        prepared(manifest, tmp_path / "out")
    assert re.search(r"4 images to prepare, about [\d.]+ kB; [\d.]+ [MGT]B are free", caplog.text)


def test_a_disk_that_fills_up_keeps_what_is_done(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if f"{3:016x}" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*3 of 6 images are prepared and stay") as stop:
        prepared(manifest, tmp_path / "out")
    assert stop.value.errno == errno.ENOSPC
    assert len(images_in(tmp_path / "out")) == 3
    monkeypatch.undo()
    assert prepared(manifest, tmp_path / "out").kept == 3


def test_progress_is_logged_without_a_bar(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mammo_monai.pace.EVERY_S", 0.0)
    with caplog.at_level(logging.INFO):
        prepared(manifest, tmp_path / "out")
    assert "prepared 3 of 6 images" in caplog.text
    assert "film" not in caplog.text


RUN = """
import sys
from pathlib import Path
from mammo_monai.data import prepare_manifest
from mammo_monai.schema import read_manifest
from mammo_monai.transforms import image_recipe
if __name__ == "__main__":
    recipe = image_recipe(size_px=40)
    prepare_manifest(read_manifest(Path(sys.argv[1])), Path(sys.argv[2]), recipe, workers=2)
"""


@pytest.mark.slow  # two workers import torch
def test_a_killed_run_ends_its_workers_and_goes_on_to_the_same_bytes(
    manifest: Path, tmp_path: Path, warm: Warm
) -> None:
    many = [replace(read_manifest(manifest).training[0], record_id=f"{n:016x}") for n in range(4000)]
    write_manifest(manifest, Manifest(training=tuple(many)))
    (tmp_path / "run.py").write_text(RUN)
    out = tmp_path / "out"
    process = warm.start("python", tmp_path / "run.py", manifest, out)
    deadline = time.monotonic() + 200
    while len(list((out / "images").glob("[0-9]*.png"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    assert not (out / "manifest.json").exists()
    finished = [int(path.name[:16], 16) for path in (out / "images").glob("[0-9]*.png")]
    assert 2 <= len(finished) < 4000
    while any(is_running(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    assert not any(is_running(child) for child in children)
    few = sorted({*finished, *range(1, 6)})
    write_manifest(manifest, Manifest(training=tuple(many[number] for number in few)))
    done = prepared(manifest, out)
    assert done.kept >= len(finished)  # a worker may have finished one more while it died
    assert done.made + done.kept == len(few)
    prepared(manifest, tmp_path / "other")
    for path in images_in(tmp_path / "other"):
        assert (out / "images" / path.name).read_bytes() == path.read_bytes()


def is_running(process_id: str) -> bool:
    """Alive and no zombie: nobody may be there to reap it."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_the_file_of_a_prepared_manifest_is_plain_json(manifest: Path, tmp_path: Path) -> None:
    content = json.loads(prepared(manifest, tmp_path / "out").path.read_text())
    assert content["training"][0]["image"].startswith("images/")
    assert content["training"][0]["prepared"]["recipe"]["size_px"] == 40


def test_unknown_size_of_a_record_is_no_obstacle(manifest: Path, tmp_path: Path) -> None:
    record = read_manifest(manifest).training[0]
    bare = ImageRecord(record.image, "ab" * 8, "P", 0, 0)
    task = prepared_image.Task(bare, tmp_path, RECIPE)
    made = prepared_image.prepare_image(task)
    assert isinstance(made, prepared_image.Prepared)
    assert read_preparation(made.path).frame.width == record.width
