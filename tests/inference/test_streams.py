"""Runs over many images into .jsonl and .parquet: killed anywhere, on a full disk, twice at once."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import Dataset

from mammo_monai.errors import DicomError, MammoError
from mammo_monai.files import content_sha256
from mammo_monai.inference import FullImageInferer, Predictor, Written, detections_in_original
from mammo_monai.inference.journal import journal_path
from mammo_monai.inference.run_lock import only_run
from mammo_monai.inference.shard_journal import ShardJournal, partial_folder
from mammo_monai.inference.written import written_before
from mammo_monai.records import Detections
from mammo_monai.schema import iter_detections, read_detections, read_model
from mammo_monai.schema.detection_shards import shard_paths
from tests.inference.fakes import FixedDetector, image_with, sample_of
from tests.inference.killed_run import SlowSamples, predictor
from tests.warm import Warm, warm  # a fixture

__all__ = ["warm"]
ROOT = Path(__file__).parents[2]
STREAMS = ("d.jsonl", "d.parquet")
IDS = [f"r{n}" for n in range(8)]


def _run(output: Path, samples: SlowSamples | None = None, **others: Any) -> Written:
    run = predictor(output, samples or SlowSamples(), **others)
    run.shard_rows = 3
    return run.run()


def _rows(output: Path) -> list[tuple[str, list[list[float]], list[float], str]]:
    return [
        (each.record_id, each.boxes.tolist(), each.scores.tolist(), str(each.image))
        for each in iter_detections(output)
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Compares an output with that of a run without any trouble, which .json has given."""
    reference = tmp_path_factory.mktemp("reference") / "d.json"
    _run(reference)

    def check(output: Path) -> None:
        assert _rows(output) == _rows(reference)
        assert {key: value for key, value in read_model(output).items() if key != "run_sha256"} == read_model(
            reference
        )
        # Nothing of the run is left over: no journal, no lock, no partial folder.
        assert [each.name for each in output.parent.iterdir()] == [output.name]
        if output.is_dir():
            shards = [f"part-{n:06d}.parquet" for n in range(3)]
            assert sorted(each.name for each in output.iterdir()) == ["model.json", *shards]

    return check


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_streams_hold_what_a_document_holds(
    tmp_path: Path, name: str, workers: int, undisturbed: Callable[[Path], None]
) -> None:
    run = predictor(tmp_path / name, SlowSamples())
    run.shard_rows, run.workers = 3, workers
    written = run.run()
    undisturbed(tmp_path / name)
    assert (written.n_images, written.n_marks, written.n_failed) == (8, 8, 0)
    assert [each.record_id for each in written.detections] == IDS
    counts = written_before(tmp_path / name)
    assert (counts.n_images, counts.n_marks, counts.n_failed) == (8, 8, 0)


@pytest.mark.parametrize("name", STREAMS)
def test_a_finished_run_is_not_begun_again(tmp_path: Path, name: str) -> None:
    _run(tmp_path / name)
    samples = SlowSamples()
    again = _run(tmp_path / name, samples)
    assert (samples.loaded, again.n_images, again.n_marks) == ([], 8, 8)
    # Other settings are another run, and replace the whole output.
    assert _run(tmp_path / name, samples, threshold=0.525).n_marks == 5
    assert samples.loaded == list(range(8))
    assert len(shard_paths(tmp_path / name)) == (3 if name.endswith("parquet") else 0)


def _killed_at(event: int, output: Path) -> bool:
    """Runs in a child that kills itself before its `event`-th change of a file; whether it was killed."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        is_file = name in ("open", "os.rename", "os.remove", "os.truncate", "os.rmdir", "shutil.rmtree")
        if is_file and str(output.parent) in str(arguments[0]):
            count += 1
            if count == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    try:
        _run(output)
    finally:
        os._exit(0)


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("name", STREAMS)
def test_a_kill_before_any_change_of_a_file_loses_and_doubles_nothing(
    tmp_path: Path, name: str, undisturbed: Callable[[Path], None]
) -> None:
    event, is_killed = 0, True
    while is_killed:
        event += 1
        output = tmp_path / str(event) / name
        output.parent.mkdir()
        is_killed = _killed_at(event, output)
        _run(output)
        undisturbed(output)
        shutil.rmtree(output.parent)
    assert event > 8


@pytest.mark.parametrize(("name", "stuck"), [("d.jsonl", 5), ("d.parquet", 4)])
def test_after_kill_9_only_what_is_missing_is_computed(
    tmp_path: Path, name: str, stuck: int, undisturbed: Callable[[Path], None], warm: Warm
) -> None:
    output = tmp_path / name
    process = warm.start("python", "-m", "tests.inference.killed_run", output, str(stuck), folder=ROOT)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None and _lines(output) < stuck:
            time.sleep(0.05)
        assert process.poll() is None
        with pytest.raises(OSError, match=r"another process is predicting into it .*Wait until it ends"):
            _run(output)
    finally:
        process.kill()
        process.wait()
    samples = SlowSamples()
    _run(output, samples)
    assert samples.loaded == list(range(stuck, 8))
    undisturbed(output)


def _lines(output: Path) -> int:
    """Images that a run has finished so far, the head lines not counted."""
    if output.suffix == ".jsonl":
        path = journal_path(output)
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0
    folder = partial_folder(output)
    shards = len(shard_paths(folder))
    filled = folder / f"rows-{shards:06d}.jsonl"  # rows of a shard that just came stay a moment beside it
    return 3 * shards + (filled.read_bytes().count(b"\n") - 1 if filled.exists() else 0)


def _stopped(output: Path, at: int) -> Path:
    """A run that ended with an error at image `at`; the folder or journal it left."""

    class Broken(SlowSamples):
        def __getitem__(self, index: int) -> Mapping[str, Any]:
            if index == at:
                raise DicomError(f"images/{index}.dcm: no pixels")
            return super().__getitem__(index)

    with pytest.raises(DicomError, match=f"images/{at}.dcm: no pixels"):
        _run(output, Broken())
    return partial_folder(output) if output.suffix == ".parquet" else journal_path(output)


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_shard_is_computed_again(
    tmp_path: Path, damaged: int, caplog: pytest.LogCaptureFixture, undisturbed: Callable[[Path], None]
) -> None:
    output = tmp_path / "d.parquet"
    shard = _stopped(output, 7) / f"part-00000{damaged}.parquet"
    shard.write_bytes(shard.read_bytes()[:-9])
    samples = SlowSamples()
    _run(output, samples)
    # With it go the rows of the shard that was filling, so that shards keep the order of the data set.
    again = [*range(3 * damaged, 3 * damaged + 3), 6, 7]
    assert samples.loaded == again
    assert f"{shard}: damaged, it cannot be read as Parquet" in caplog.text
    undisturbed(output)


def test_a_shard_of_other_images_is_computed_again(
    tmp_path: Path, undisturbed: Callable[[Path], None]
) -> None:
    output = tmp_path / "d.parquet"
    folder = _stopped(output, 7)
    other = tmp_path / "other.parquet"
    with ShardJournal(other, "f", {"x": 0}) as journal:
        journal.add(0, Detections("x"))
        journal.write({})
    shutil.copy(other / "part-000000.parquet", folder / "part-000001.parquet")
    shutil.rmtree(other)
    _run(output)
    undisturbed(output)


@pytest.mark.parametrize("name", STREAMS)
def test_what_a_run_with_other_settings_left_is_discarded(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    left = _stopped(tmp_path / name, 5)
    samples = SlowSamples()
    assert _run(tmp_path / name, samples, threshold=0.4).n_images == 8
    assert samples.loaded == list(range(8))
    assert f"{left} belongs to a run with other settings, images or weights" in caplog.text


def test_a_partial_folder_that_says_nothing_of_its_run_is_discarded(tmp_path: Path) -> None:
    left = _stopped(tmp_path / "d.parquet", 5)
    (left / "run.json").write_text("{")
    samples = SlowSamples()
    _run(tmp_path / "d.parquet", samples)
    assert samples.loaded == list(range(8))


class _Broken:
    """Of ten images two cannot be read, until they are mended."""

    is_mended = False  # of the class: the files change, not the transform's settings

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        if data["record_id"] in ("i3", "i8") and not self.is_mended:
            raise DicomError(f"{data['image_path']}: no pixels.")
        if data["record_id"] == "i6" and not self.is_mended:
            raise KeyboardInterrupt
        return sample_of(image_with(60, 90, [(5, 5, 20, 30, 0.5)]), data["record_id"])


@pytest.mark.parametrize("name", ["d.json", *STREAMS])
@pytest.mark.parametrize("on_error", ["skip", "stop"])
def test_a_run_that_goes_on_remembers_what_failed(
    tmp_path: Path, name: str, on_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _Broken()
    data = Dataset([{"record_id": f"i{n}", "image_path": f"images/{n}.dcm"} for n in range(10)], broken)
    detector = FixedDetector([[1, 2, 30, 40]], [0.5])

    def run(on_error: Any) -> Written:
        made = Predictor(FullImageInferer(detector), data, tmp_path / name, on_error=on_error)
        made.shard_rows = 4
        return made.run()

    with pytest.raises(KeyboardInterrupt):
        run("skip")
    monkeypatch.setattr(_Broken, "is_mended", True)
    written = run(on_error)
    failed = [each["record_id"] for each in read_model(tmp_path / name)["failed"]]
    found = [each.record_id for each in written.detections]
    assert written.n_failed == len(failed)
    assert written.n_images == len(found)
    assert sorted([*found, *failed]) == sorted(f"i{n}" for n in range(10))
    # "skip" does not load a film again that has failed; "stop" wants it mended.
    assert failed == (["i3"] if on_error == "skip" else [])


class _FullDisk:
    """Lets some writes through, then no more."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def __call__(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("writes", [0, 2, 4])
def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    tmp_path: Path,
    name: str,
    writes: int,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: Callable[[Path], None],
) -> None:
    output = tmp_path / name
    with monkeypatch.context() as patch:
        patch.setattr("mammo_monai.inference.line_file.SYNC_EVERY_S", -1.0)
        patch.setattr("mammo_monai.inference.line_file.os.fsync", _FullDisk(writes))
        with pytest.raises(OSError, match=r"could not write .*: No space left on device"):
            _run(output)
    assert not output.exists()
    samples = SlowSamples()
    _run(output, samples)
    assert samples.loaded == list(range(len(IDS) - len(samples.loaded), 8))
    undisturbed(output)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("d.json", *STREAMS):
        with pytest.raises(OSError, match=rf"could not write .*{name}: .*Choose a folder that"):
            _run(tmp_path / "file" / name)


def test_without_pyarrow_no_image_is_predicted_for_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    samples = SlowSamples()
    with pytest.raises(MammoError, match=r"pip install 'mammo-monai\[parquet\]'"):
        _run(tmp_path / "d.parquet", samples)
    assert samples.loaded == []


def test_a_file_where_a_folder_is_to_be_and_the_reverse_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.parquet").write_text("")
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(NotADirectoryError, match=r"it is a file; .parquet is a folder of shards"):
        _run(tmp_path / "d.parquet")
    with pytest.raises(IsADirectoryError, match="it is a folder; name a file in it"):
        _run(tmp_path / "d.jsonl")


def test_a_lock_is_free_after_its_run_and_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), only_run(tmp_path / "d.json"):
            raise KeyError
    assert not list(tmp_path.iterdir())


class _Tiny:
    """Many tiny images, of which every hundredth fails."""

    def __init__(self, count: int) -> None:
        self.data = [{"record_id": f"r{n}", "image_path": f"images/{n}.dcm"} for n in range(count)]
        self.sample = sample_of(image_with(6, 9, [(1, 2, 3, 5, 0.5)]), "r")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        if index % 100 == 99:
            raise DicomError("no pixels")
        return {**self.sample, **self.data[index]}


@pytest.mark.parametrize("name", ["d.json", *STREAMS])
def test_memory_does_not_grow_with_the_images(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: weakref.WeakSet[Detections] = weakref.WeakSet()
    alive: list[int] = []

    def watched(*args: Any, **others: Any) -> Detections:
        found = detections_in_original(*args, **others)
        made.add(found)
        alive.append(len(made))
        return found

    monkeypatch.setattr("mammo_monai.inference.predict.detections_in_original", watched)
    inferer = FullImageInferer(FixedDetector([[1, 2, 5, 6]], [0.5]))
    run = Predictor(inferer, _Tiny(1000), tmp_path / name, on_error="skip")
    run.shard_rows = 50
    written = run.run()
    assert (written.n_images, written.n_failed, len(alive)) == (990, 10, 990)
    # At most a shard's rows and the film in hand: not the 1 000 that have been.
    assert max(alive) <= (52 if name.endswith("parquet") else 2)


def test_the_hash_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    _run(tmp_path / "a.parquet")
    _run(tmp_path / "b.parquet")
    first = content_sha256(tmp_path / "a.parquet")
    assert first == content_sha256(tmp_path / "b.parquet")
    shard = tmp_path / "b.parquet" / "part-000000.parquet"
    shard.write_bytes(shard.read_bytes() + b"x")
    assert first != content_sha256(tmp_path / "b.parquet")


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "d.json")
    with pytest.raises(OSError, match=r"d\.json: it is a device or a pipe"):
        _run(tmp_path / "d.json")
    assert [each.name for each in tmp_path.iterdir()] == ["d.json"]
    assert (tmp_path / "d.json").is_fifo()


def test_workers_below_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        Predictor(FullImageInferer(FixedDetector([], [])), [], tmp_path / "d.json", workers=-1)


def test_read_detections_reads_a_run_of_every_format_alike(tmp_path: Path) -> None:
    models = []
    for name in ("d.json", *STREAMS):
        torch.manual_seed(0)
        _run(tmp_path / name)
        content = read_detections(tmp_path / name)
        assert [each.record_id for each in content.detections] == IDS
        models.append({key: each for key, each in content.model.items() if key != "run_sha256"})
    assert models[0] == models[1] == models[2]
