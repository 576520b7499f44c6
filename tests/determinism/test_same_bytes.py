"""Same seed, same machine, same bytes: the chain twice, in processes that differ in what must not matter."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import dcmread

# What must not matter: order of sets, time zone, locale. Numbers of workers have tests of their own.
SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
)
# A DICOM report says when it was made (PS3.3 C.17.2, C.12.1); nothing else in it may differ.
MADE_AT = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime")
REPOSITORY = Path(__file__).parents[2]


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file; TensorBoard names its files by the clock, and locks name who held them."""
    return {
        str(each.relative_to(folder)): sha256(_content(each)).hexdigest()
        for each in sorted(folder.rglob("*"))
        if each.is_file() and "tensorboard" not in each.parts and each.suffix != ".lock"
    }


def _content(path: Path) -> bytes:
    if not path.name.endswith("_sr.dcm"):
        return path.read_bytes()
    report = dcmread(path)
    for keyword in MADE_AT:
        del report[keyword]
    return report.to_json().encode()


def _run(folder: Path, surroundings: dict[str, str]) -> dict[str, str]:
    folder.mkdir()
    paths = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    run = subprocess.run(
        [sys.executable, "-m", "tests.determinism.chain"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **surroundings, "PYTHONPATH": paths},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return _hashes(folder)


@pytest.mark.slow
def test_the_whole_chain_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    # In one folder after the other of one name: detections carry the absolute paths of their images.
    first = _run(tmp_path / "chain", SURROUNDINGS[0])
    (tmp_path / "chain").rename(tmp_path / "first")
    second = _run(tmp_path / "chain", SURROUNDINGS[1])
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == set()
    assert {Path(name).suffix for name in first} >= {
        *(".dcm", ".json", ".jsonl", ".png", ".pt", ".safetensors", ".html", ".pdf", ".csv", ".tex", ".zip")
    }
