"""What is on disk after a change, a kill, a full disk, or two who change at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from mammo_monai import files
from mammo_monai.errors import ManifestError
from mammo_monai.service.review import ConflictError, ReviewError, Worklist, read_worklist
from mammo_monai.service.review.marks import review_json
from mammo_monai.service.review.store import ReviewStore
from tests.service.review.scene import accepted, write_scene


@pytest.fixture
def worklist(tmp_path: Path) -> Worklist:
    return read_worklist(write_scene(tmp_path / "images"))


def opened(folder: Path, worklist: Worklist) -> ReviewStore:
    return ReviewStore(folder, worklist, threshold=0.3)


def test_a_saved_review_is_there_for_the_next_server(folder: Path, worklist: Worklist) -> None:
    before = worklist.source.read_bytes()
    with opened(folder, worklist) as store:
        store.save(0, accepted(review_json(store.review(0)), comment="seen"))
    with opened(folder, worklist) as store:
        review = store.review(0)
        assert (review.revision, review.reader, review.comment) == (1, "AB", "seen")
        assert len(review.accepted) == 3
        assert store.review(1).revision == 0
    assert worklist.source.read_bytes() == before
    assert [path.name for path in (folder / "marks").iterdir()] == ["rmlo.json"]


def test_a_change_of_an_older_revision_is_a_conflict_and_changes_nothing(
    folder: Path, worklist: Worklist
) -> None:
    with opened(folder, worklist) as store:
        first = review_json(store.review(0))
        store.save(0, {**first, "reader": "AB", "comment": "mine"})
        file = next((folder / "marks").iterdir())
        before = file.read_bytes()
        with pytest.raises(
            ConflictError, match=r"changed in another window by AB: .* Nothing was overwritten"
        ) as e:
            store.save(0, {**first, "comment": "theirs"})
        assert e.value.current.comment == "mine"
        assert file.read_bytes() == before


def test_of_many_who_change_one_revision_at_once_one_wins(folder: Path, worklist: Worklist) -> None:
    with opened(folder, worklist) as store:
        first, outcomes = review_json(store.review(0)), []

        def change(n: int) -> None:
            try:
                outcomes.append(store.save(0, {**first, "comment": str(n)}).comment)
            except ConflictError:
                outcomes.append(None)

        threads = [threading.Thread(target=change, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [each for each in outcomes if each is not None]
        assert [store.review(0).comment] == won
        assert json.loads((folder / "marks" / "rmlo.json").read_text())["comment"] == won[0]


def test_a_full_disk_leaves_the_saved_review_whole(
    folder: Path, worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with opened(folder, worklist) as store:
        kept = store.save(0, {**review_json(store.review(0)), "comment": "kept"})
        before = (folder / "marks" / "rmlo.json").read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(files, "_flush_to_disk", full)
            with pytest.raises(OSError, match="No space left"):
                store.save(0, {**review_json(kept), "comment": "lost"})
        assert store.review(0).comment == "kept"
        assert (folder / "marks" / "rmlo.json").read_bytes() == before
        assert len(list((folder / "marks").iterdir())) == 1  # nothing half-written lies about
        assert store.save(0, {**review_json(kept), "comment": "again"}).revision == 2


def test_two_servers_never_work_in_one_folder(folder: Path, worklist: Worklist) -> None:
    with (
        opened(folder, worklist),
        pytest.raises(ReviewError, match="another `mammo-monai review` is working"),
    ):
        opened(folder, worklist).__enter__()
    with opened(folder, worklist):
        pass  # the first has gone


def test_a_folder_of_other_detections_is_refused(folder: Path, worklist: Worklist) -> None:
    with opened(folder, worklist):
        pass
    worklist.source.write_text(worklist.source.read_text().replace("0.9", "0.8"))
    with pytest.raises(ReviewError, match=r"a review of other detections .*Choose another --out"):
        opened(folder, read_worklist(worklist.source)).__enter__()


def test_a_folder_whose_description_is_lost_is_refused(folder: Path, worklist: Worklist) -> None:
    with opened(folder, worklist) as store:
        store.save(0, review_json(store.review(0)))
    (folder / "review.json").unlink()
    with pytest.raises(ReviewError, match="missing, though marks/ holds reviews"):
        opened(folder, worklist).__enter__()


@pytest.mark.parametrize("damage", ["{", '{"schema": "mammo-monai/image-review/1", "marks": []}'])
def test_a_damaged_review_is_named(folder: Path, worklist: Worklist, damage: str) -> None:
    (folder / "marks").mkdir(parents=True)
    with opened(folder, worklist):
        pass
    (folder / "marks" / "rmlo.json").write_text(damage)
    with pytest.raises((ReviewError, ManifestError), match=r"rmlo\.json"):
        opened(folder, worklist).__enter__()
    (folder / "marks" / "rmlo.json").unlink()
    with opened(folder, worklist):
        pass  # the lock was given back


def test_a_record_id_that_is_no_file_name_gets_one(tmp_path: Path, folder: Path) -> None:
    source = write_scene(tmp_path)
    source.write_text(source.read_text().replace('"rmlo"', '"../../r/mlo"'))
    with opened(folder, read_worklist(source)) as store:
        store.save(0, review_json(store.review(0)))
    (file,) = (folder / "marks").iterdir()
    assert json.loads(file.read_text())["record_id"] == "../../r/mlo"
