from __future__ import annotations

import errno
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from mammo_monai.data import load_samples
from mammo_monai.data.patch_images import (
    breast_shares,
    keep_images,
    remembered,
    transform_settings,
    window_shares,
)
from mammo_monai.data.patches import patch_transforms
from mammo_monai.errors import GeometryError
from mammo_monai.transforms import RandFlipsd
from tests.reference.patch_reference import shares_by_loop


class Counted:
    """A transform that counts its calls."""

    def __init__(self, transform: Compose) -> None:
        self.transform = transform
        self.calls: list[str] = []

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(sample["record_id"])
        return dict(self.transform(sample))

    def as_json(self) -> Any:
        return transform_settings(self.transform)


def test_a_kept_image_is_the_prepared_one_with_its_frame(manifest: Path, tmp_path: Path) -> None:
    samples, transform = load_samples(manifest), patch_transforms(intensity="global_contrast")
    for memory_px in (0, 10**6):
        kept = keep_images(samples, transform, cache_dir=tmp_path / "cache", memory_px=memory_px)
        assert len(kept) == len(samples) == 6
        for each, sample in zip(kept, samples, strict=True):
            made = transform(dict(sample))
            assert each.frame == made["frame"]
            assert each.shape == tuple(made["image"].shape[1:])
            assert (each.in_memory is None) == (memory_px == 0)
            grey = torch.from_numpy(np.array(each.pixels(), dtype=np.float32) / np.float32(65535))
            # Rounded to 16 bits.
            torch.testing.assert_close(grey, made["image"][0], atol=0.51 / 65535, rtol=0)


def test_each_image_is_prepared_once_and_again_when_file_or_settings_change(
    manifest: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    samples, transform = load_samples(manifest), Counted(patch_transforms())
    keep_images(samples, transform, cache_dir=cache, workers=2)
    assert len(transform.calls) == 6
    keep_images(samples, transform, cache_dir=cache)
    assert len(transform.calls) == 6
    film = Path(samples[2]["image"])
    film.write_bytes(film.read_bytes() + b"\0")
    keep_images(samples, transform, cache_dir=cache)
    assert transform.calls[6:] == [samples[2]["record_id"]]
    other = Counted(patch_transforms(intensity="percentile"))
    keep_images(samples, other, cache_dir=cache)
    assert len(other.calls) == 6


@pytest.mark.parametrize("damage", ["cut", "no description", "half a description", "other shape"])
def test_a_damaged_copy_is_made_again(manifest: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    samples, transform = load_samples(manifest), Counted(patch_transforms())
    kept = keep_images(samples, transform, cache_dir=cache)
    whole, path = kept[1].path.read_bytes(), kept[1].path
    described = path.with_suffix(".json")
    if damage == "cut":
        path.write_bytes(whole[:-100])
    elif damage == "no description":
        described.unlink()
    elif damage == "half a description":
        described.write_text(described.read_text()[:20])
    else:
        described.write_text(json.dumps({**json.loads(described.read_text()), "shape": [1, 1]}))
    keep_images(samples, transform, cache_dir=cache)
    assert transform.calls[6:] == [samples[1]["record_id"]]
    assert path.read_bytes() == whole


def test_a_full_disk_says_how_much_is_missing_and_what_to_do(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, written = load_samples(manifest), Path.write_bytes

    # np.save into a file says of a full disk "19864 requested and 10176 written", without a number.
    def write(path: Path, content: bytes) -> int:
        if len(list((tmp_path / "cache").glob("0*.npy"))) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(
        OSError, match=r"disk is full; 4 of 6 images, about .* kB, are .* cache_dir"
    ) as caught:
        keep_images(samples, patch_transforms(), cache_dir=tmp_path / "cache")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(Path, "write_bytes", written)
    transform = Counted(patch_transforms())
    keep_images(samples, transform, cache_dir=tmp_path / "cache")
    assert len(transform.calls) == 4


def test_a_folder_that_cannot_be_written_is_named(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"could not write .*file"):
        keep_images(load_samples(manifest), patch_transforms(), cache_dir=tmp_path / "file")


def test_random_preprocessing_is_refused(manifest: Path, tmp_path: Path) -> None:
    transform = Compose([patch_transforms(), RandFlipsd(1.0)])
    with pytest.raises(GeometryError, match="patches need images whose frame is known"):
        keep_images(load_samples(manifest), transform, cache_dir=tmp_path)


def test_candidates_that_a_transform_found_are_kept_as_x_and_y(manifest: Path, tmp_path: Path) -> None:
    class Finds:
        def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
            found = [[1.0, 2.0, 3.0, 4.0]] if sample["record_id"].endswith("1") else []
            return {**patch_transforms()(sample), "candidates": np.array(found).reshape(-1, 4)}

    for _ in range(2):
        kept = keep_images(load_samples(manifest), Finds(), cache_dir=tmp_path)
        assert [each.candidates.tolist() for each in kept[:2]] == [[], [[2, 1, 4, 3]]]  # type: ignore[union-attr]


def test_the_cache_stands_beside_generated_data_unless_named(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path / "home"))
    (kept,) = keep_images(load_samples(manifest, limit=1), patch_transforms())
    assert kept.path.parent == tmp_path / "home" / "patch_images"


def test_progress_names_no_patient_and_no_path_of_a_film(
    manifest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.pace.EVERY_S", 0.0)
    samples = load_samples(manifest)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        keep_images(samples, patch_transforms(), cache_dir=tmp_path / "cache")
    assert "preparing 6 of 6 images" in caplog.text
    assert "prepared 3 of 6 images" in caplog.text
    assert "film" not in caplog.text


def test_settings_of_a_transform_tell_recipes_apart_and_forget_random_state() -> None:
    plain = transform_settings(patch_transforms())
    assert plain == transform_settings(patch_transforms())
    others = [{"region": "none"}, {"intensity": "percentile"}, {"preset": "full_image", "size_px": 90}]
    texts = {json.dumps(transform_settings(patch_transforms(**each)), sort_keys=True) for each in others}  # type: ignore[arg-type]
    assert len(texts | {json.dumps(plain, sort_keys=True)}) == 4
    flips = Compose([RandFlipsd(0.5)])
    before = json.dumps(transform_settings(flips), sort_keys=True)
    flips.set_random_state(seed=7)
    assert json.dumps(transform_settings(flips), sort_keys=True) == before


def test_breast_shares_are_those_counted_pixel_by_pixel_and_read_again(
    manifest: Path, tmp_path: Path
) -> None:
    (kept,) = keep_images(
        load_samples(manifest, limit=1), patch_transforms(region="none"), cache_dir=tmp_path
    )
    centres = np.array([[8.0, 8.0], [60.0, 100.0], [2.0, 199.0], [80.5, 30.5], [-30.0, 50.0]])
    expected = shares_by_loop(np.array(kept.pixels()), centres, 16)
    for _ in range(2):
        np.testing.assert_allclose(breast_shares(kept, centres, 16), expected)
    files = list(tmp_path.glob("*-shares-*.npy"))
    assert len(files) == 1
    files[0].write_bytes(b"")
    np.testing.assert_allclose(breast_shares(kept, centres, 16), expected)
    assert (
        len(window_shares(kept.pixels(), np.zeros((0, 2)), 16))
        == len(breast_shares(kept, centres[:0], 16))
        == 0
    )


def test_what_was_found_out_about_an_image_is_found_once(manifest: Path, tmp_path: Path) -> None:
    (kept,) = keep_images(load_samples(manifest, limit=1), patch_transforms(), cache_dir=tmp_path)
    calls: list[int] = []

    def find() -> Any:
        calls.append(1)
        return np.array([1.0, 2.0])

    assert [remembered(kept, "thing", find).tolist() for _ in range(2)] == [[1, 2], [1, 2]]
    assert len(calls) == 1


@pytest.mark.parametrize(
    "said", [{"laterality": "R"}, {"view_position": "ML"}, {"pixel_spacing_mm": (0.05, 0.06)}]
)
def test_an_image_is_prepared_again_when_its_record_says_another_thing(
    manifest: Path, tmp_path: Path, said: dict[str, Any]
) -> None:
    (sample, *_), transform = load_samples(manifest), Counted(patch_transforms())
    for each in (sample, {**sample, **said}, sample):
        keep_images([each], transform, cache_dir=tmp_path / "cache")
    assert len(transform.calls) == 2


def test_a_record_id_that_is_a_path_leads_nowhere_else(manifest: Path, tmp_path: Path) -> None:
    sample = {**load_samples(manifest)[0], "record_id": "../outside"}
    (kept,) = keep_images([sample], patch_transforms(), cache_dir=tmp_path / "cache")
    assert kept.path.parent == tmp_path / "cache"
    assert not list(tmp_path.glob("outside*"))
