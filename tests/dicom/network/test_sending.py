"""Sending to a real SCP: every transfer syntax as it is, and an outcome for every fault."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts, evt

from mammo_monai.dicom.network import NetworkError, Peer, SendOutcome, send
from mammo_monai.doctor.decoders import made_image
from tests.dicom.network.archive_scp import ArchiveScp, Silent, aborting, image, report
from tests.dicom_factory import write_bare

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
]


def encoded(syntax: UID, number: int = 0) -> Dataset:
    """An image in a syntax; lossless JPEG, which nobody here encodes, has bytes that nobody here decodes."""
    dataset = image(7, number, syntax=ExplicitVRLittleEndian if syntax == JPEGLosslessSV1 else syntax)
    if syntax == JPEGLosslessSV1:
        dataset.PixelData = encapsulate([b"\xff\xd8 no real picture \xff\xd9"])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def statuses(outcomes: list[SendOutcome]) -> list[str]:
    return [each.status for each in outcomes]


def test_each_file_arrives_in_its_own_transfer_syntax_byte_for_byte(tmp_path: Path) -> None:
    files = [saved(encoded(each, n), tmp_path / f"{n}.dcm") for n, each in enumerate(SYNTAXES)]
    seen: list[tuple[int, int]] = []
    with ArchiveScp() as archive:
        outcomes = send(archive.peer, files, progress=lambda done, total: seen.append((done, total)))
    assert statuses(outcomes) == ["sent"] * len(SYNTAXES)
    assert [each.path for each in outcomes] == files
    assert {each.code for each in outcomes} == {0}
    assert seen == [(n + 1, len(SYNTAXES)) for n in range(len(SYNTAXES))]
    assert archive.n_associations == 1
    assert [each.file_meta.TransferSyntaxUID for each in archive.stored] == SYNTAXES
    for path, came in zip(files, archive.stored, strict=True):
        assert came.PixelData == dcmread(path).PixelData


def test_a_data_set_in_memory_is_sent_and_left_as_it_is() -> None:
    dataset = image(1, 0, syntax=RLELossless)
    before = dataset.to_json()
    with ArchiveScp() as archive:
        (outcome,) = send(archive.peer, [dataset])
    assert (outcome.status, outcome.sop_instance_uid) == ("sent", dataset.SOPInstanceUID)
    assert (outcome.path, outcome.sop_class_uid) == (None, dataset.SOPClassUID)
    assert archive.stored[0].PixelData == dataset.PixelData
    assert dataset.to_json() == before


def test_nothing_to_send_calls_nobody() -> None:
    nobody = Peer("X", "127.0.0.1", 1)
    assert send(nobody, []) == []
    assert statuses(send(nobody, [Path("nowhere.dcm")])) == ["failed"]


def test_sending_again_is_the_same_instances_again(tmp_path: Path) -> None:
    files = [saved(image(1, n), tmp_path / f"{n}.dcm") for n in range(3)]
    with ArchiveScp() as archive:
        assert statuses(send(archive.peer, files)) == statuses(send(archive.peer, files)) == ["sent"] * 3
    assert len({each.SOPInstanceUID for each in archive.stored}) == 3


def test_an_instance_that_is_there_already_counts_as_sent() -> None:
    with ArchiveScp(on_store=lambda _: 0x0111) as archive:
        (outcome,) = send(archive.peer, [report()])
    assert (outcome.status, outcome.reason) == ("sent", "the instance is there already (0111)")


@pytest.mark.parametrize(
    ("code", "status", "is_retryable"),
    [(0xB007, "sent", False), (0xA700, "refused", True), (0xA900, "refused", False)],
)
def test_a_status_decides_what_became_of_an_instance(code: int, status: str, is_retryable: bool) -> None:
    def answer(_: evt.Event) -> Dataset:
        made = Dataset()
        made.Status, made.ErrorComment = code, "disk 3"
        return made

    with ArchiveScp(on_store=answer) as archive:
        (outcome,) = send(archive.peer, [report()])
    assert (outcome.status, outcome.code, outcome.is_retryable) == (status, code, is_retryable)
    assert f"({code:04X}): disk 3" in outcome.reason


def test_a_bare_file_and_one_with_a_strangers_uid_go_under_their_own(tmp_path: Path) -> None:
    write_bare(tmp_path / "implicit.dcm", image(1, 0), implicit=True)
    write_bare(tmp_path / "explicit.dcm", image(1, 1))
    write_bare(tmp_path / "big.dcm", encoded(ExplicitVRBigEndian, 2), little=False)
    wrong = image(1, 3, syntax=RLELossless)
    wrong.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    wrong.save_as(tmp_path / "wrong.dcm", enforce_file_format=False)
    files = [tmp_path / f"{name}.dcm" for name in ("implicit", "explicit", "big", "wrong")]
    with ArchiveScp() as archive:
        outcomes = send(archive.peer, [str(each) for each in files])
    assert statuses(outcomes) == ["sent"] * 4
    assert [each.file_meta.TransferSyntaxUID for each in archive.stored] == [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
    ]
    uids = [str(image(patient, n).SOPInstanceUID) for patient, n in ((1, 0), (1, 1), (7, 2), (1, 3))]
    assert [each.sop_instance_uid for each in outcomes] == uids
    assert [str(each.file_meta.MediaStorageSOPInstanceUID) for each in archive.stored] == uids


def cut(path: Path, n_bytes: int) -> Path:
    path.write_bytes(path.read_bytes()[:-n_bytes])
    return path


def test_what_cannot_be_sent_is_named_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no DICOM" * 100)
    without_class = image(1, 1)
    del without_class.SOPClassUID
    without_uid = report(SOPInstanceUID="")
    without_uid.file_meta.MediaStorageSOPInstanceUID = "1.2"
    without_uid.save_as(tmp_path / "no_uid.dcm")
    without_syntax = report()
    del without_syntax.file_meta
    faults: list[tuple[Path | Dataset, str]] = [
        (tmp_path / "nowhere.dcm", "expected a DICOM file, found nothing there"),
        (tmp_path, "expected a DICOM file, found a folder"),
        (text, "expected a DICOM file .*, got something else. Leave it out"),
        (cut(saved(image(1, 0), tmp_path / "image.dcm"), 40), "the file ends after"),
        (
            cut(saved(report(), tmp_path / "value.dcm"), 3),
            "expected its end where .* ends, -?3 bytes are missing",
        ),
        (cut(saved(report(), tmp_path / "head.dcm"), 47), "bytes follow. The file is cut short"),
        (tmp_path / "no_uid.dcm", r"expected a SOP Instance UID \(0008,0018\), got none"),
        (without_class, r"expected a SOP Class UID \(0008,0016\), got none"),
        (without_syntax, "expected a transfer syntax in its file_meta, got none"),
    ]
    good = saved(image(1, 5), tmp_path / "good.dcm")
    with ArchiveScp() as archive:
        outcomes = send(archive.peer, [*(item for item, _ in faults), good])
    assert statuses(outcomes) == ["failed"] * len(faults) + ["sent"]
    for outcome, (item, message) in zip(outcomes, faults, strict=False):
        assert (outcome.code, outcome.is_retryable) == (None, False)
        assert outcome.path == (item if isinstance(item, Path) else None)
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(outcome.reason)


def test_a_whole_deflated_report_is_sent(tmp_path: Path) -> None:
    dataset = report()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with ArchiveScp() as archive:
        assert statuses(send(archive.peer, [saved(dataset, tmp_path / "deflated.dcm")])) == ["sent"]
    assert archive.stored[0].file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian


def test_a_video_is_not_taken_for_a_cut_short_image(tmp_path: Path) -> None:
    dataset = encoded(JPEGLosslessSV1)
    dataset.NumberOfFrames = 300
    dataset.file_meta.TransferSyntaxUID = mpeg = UID("1.2.840.10008.1.2.4.102")
    with ArchiveScp(syntaxes=[mpeg]) as archive:
        assert statuses(send(archive.peer, [saved(dataset, tmp_path / "video.dcm")])) == ["sent"]


def test_a_refused_transfer_syntax_is_named_with_the_way_out() -> None:
    with ArchiveScp(syntaxes=[ImplicitVRLittleEndian]) as archive:
        compressed, plain = send(archive.peer, [image(1, 0, syntax=RLELossless), image(1, 1)])
    assert (compressed.status, plain.status) == ("refused", "sent")
    assert (
        "takes the class but not this transfer syntax. Send it decompressed (--decompress"
        in compressed.reason
    )
    assert "RLE Lossless" in compressed.reason
    # Explicit VR was rewritten as Implicit VR: no pixel is touched by that.
    assert archive.stored[0].file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    np.testing.assert_array_equal(archive.stored[0].pixel_array, image(1, 1).pixel_array)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian]
)
def test_decompressed_is_the_same_image_under_the_same_uid(syntax: UID, tmp_path: Path) -> None:
    path = saved(image(1, 2, syntax=syntax), tmp_path / "image.dcm")
    in_memory = image(1, 3, syntax=syntax)
    with ArchiveScp(syntaxes=[ExplicitVRLittleEndian]) as archive:
        outcomes = send(archive.peer, [path, in_memory], decompress=True)
    assert statuses(outcomes) == ["sent", "sent"]
    assert in_memory.file_meta.TransferSyntaxUID == syntax
    for came, source in zip(archive.stored, (dcmread(path), in_memory), strict=True):
        assert came.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert came.SOPInstanceUID == source.SOPInstanceUID
        np.testing.assert_array_equal(came.pixel_array, source.pixel_array)


def test_what_cannot_be_decompressed_fails_alone() -> None:
    big_endian = encoded(ExplicitVRBigEndian, 1)
    with ArchiveScp(syntaxes=[ExplicitVRLittleEndian]) as archive:
        outcomes = send(
            archive.peer,
            [encoded(JPEGLosslessSV1), big_endian, image(1, 2, syntax=RLELossless)],
            decompress=True,
        )
    assert statuses(outcomes) == ["failed", "refused", "sent"]
    assert "JPEG Lossless" in outcomes[0].reason
    assert "no whole JPEG header" in outcomes[0].reason or "Install the decoder" in outcomes[0].reason


def test_what_would_end_a_decoder_is_not_decompressed_and_the_next_is_sent() -> None:
    """GDCM 3.2 ends the process that calls it at this version of JFIF."""
    pytest.importorskip("gdcm")
    fatal, film = encoded(JPEGLosslessSV1), image(1, 2, syntax=RLELossless)
    made, _ = made_image("JPEGLosslessSV1")
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    frame[11] = 2
    fatal.Rows, fatal.Columns, fatal.PixelData = made.Rows, made.Columns, encapsulate([bytes(frame)])
    with ArchiveScp(syntaxes=[ExplicitVRLittleEndian]) as archive:
        outcomes = send(archive.peer, [fatal, film], decompress=True)
    assert statuses(outcomes) == ["failed", "sent"]
    assert "expected pixels that can be decompressed from JPEG Lossless" in outcomes[0].reason


def test_a_class_the_peer_does_not_take_is_refused_by_name() -> None:
    with ArchiveScp(classes=[report().SOPClassUID]) as archive:
        refused, sent = send(archive.peer, [image(1, 0), report()])
    assert (refused.status, sent.status) == ("refused", "sent")
    assert "expected it to take Digital Mammography X-Ray Image Storage" in refused.reason
    assert refused.code is None


def test_a_peer_that_takes_none_of_it_refuses_all() -> None:
    with ArchiveScp(services=["echo"]) as archive:
        outcomes = send(archive.peer, [image(1, 0), Path("nowhere.dcm"), report()])
    assert statuses(outcomes) == ["refused", "failed", "refused"]
    assert "expected it to take Digital Mammography X-Ray Image Storage" in outcomes[0].reason


def test_a_peer_that_takes_the_class_alone_is_told_from_one_that_takes_nothing() -> None:
    with ArchiveScp(syntaxes=[ImplicitVRLittleEndian]) as archive:
        (outcome,) = send(archive.peer, [image(1, 0, syntax=RLELossless)])
    assert outcome.status == "refused"
    assert "takes the class but not this transfer syntax. Send it decompressed" in outcome.reason


def test_more_contexts_than_an_association_holds_take_several() -> None:
    classes = [each.abstract_syntax for each in AllStoragePresentationContexts][:70]
    items = [report(f"1.2.9.{n}", SOPClassUID=UID(each)) for n, each in enumerate(classes)]
    with ArchiveScp(classes=classes) as archive:
        outcomes = send(archive.peer, items)
    assert statuses(outcomes) == ["sent"] * 70
    assert archive.n_associations == 2
    assert [each.SOPClassUID for each in archive.stored] == classes


def test_a_long_list_goes_through_one_association_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_monai.dicom.network.sending._PER_ASSOCIATION", 2)
    with ArchiveScp() as archive:
        outcomes = send(archive.peer, [report(f"1.2.9.{n}") for n in range(5)])
    assert statuses(outcomes) == ["sent"] * 5
    assert archive.n_associations == 3


def test_an_abort_costs_one_instance_and_the_rest_goes_on() -> None:
    with ArchiveScp(on_store=aborting(2)) as archive:
        outcomes = send(archive.peer, [report(f"1.2.9.{n}") for n in range(4)])
    assert statuses(outcomes) == ["sent", "failed", "sent", "sent"]
    assert outcomes[1].is_retryable
    assert "expected an answer to C-STORE, the association broke. Send it again" in outcomes[1].reason
    assert archive.n_associations == 2


def test_a_peer_that_aborts_every_time_is_given_up() -> None:
    with ArchiveScp(on_store=aborting(*range(1, 100))) as archive:
        outcomes = send(archive.peer, [report(f"1.2.9.{n}") for n in range(6)])
    assert statuses(outcomes) == ["failed"] * 6
    assert archive.n_associations == 3
    assert "given up: 3 associations in a row broke. Send it again later" in outcomes[-1].reason
    assert all(each.is_retryable for each in outcomes)


def test_an_answer_that_does_not_come_in_time_is_a_failure() -> None:
    with Silent() as silent, ArchiveScp(on_store=silent) as archive:
        (outcome,) = send(archive.peer, [report()], timeout_s=1.5)
    assert outcome.status == "failed"
    assert "no answer within 1.5 s" in outcome.reason


def test_a_peer_that_is_gone_in_the_middle_leaves_the_rest_failed() -> None:
    def once(event: evt.Event) -> int:
        archive._server.server_close()  # nobody else is let in
        event.assoc.abort()
        return 0x0000

    with ArchiveScp(on_store=once) as archive:
        outcomes = send(archive.peer, [report(f"1.2.9.{n}") for n in range(3)], timeout_s=5)
    assert statuses(outcomes) == ["failed"] * 3
    assert "nothing listens there" in outcomes[-1].reason
    assert all(each.is_retryable for each in outcomes)


def test_no_association_at_all_is_an_error() -> None:
    with (
        ArchiveScp(entity_options={"require_calling_aet": ["FRIEND"]}) as archive,
        pytest.raises(NetworkError, match="does not know the calling AE title MAMMO_MONAI"),
    ):
        send(archive.peer, [report()])


def test_what_cannot_be_encoded_fails_alone() -> None:
    broken = report("1.2.9.1")
    broken.add_new("Rows", "US", "no number")
    with ArchiveScp() as archive:
        outcomes = send(archive.peer, [broken, report("1.2.9.2")])
    assert statuses(outcomes) == ["failed", "sent"]
    assert "could not be encoded or read" in outcomes[0].reason


def test_a_file_that_vanishes_before_its_turn_fails_alone(tmp_path: Path) -> None:
    first, second, third = (saved(image(1, n), tmp_path / f"{n}.dcm") for n in range(3))

    def remove(_: evt.Event) -> int:
        second.unlink(missing_ok=True)
        return 0x0000

    with ArchiveScp(on_store=remove) as archive:
        outcomes = send(archive.peer, [first, second, third])
    assert statuses(outcomes) == ["sent", "failed", "sent"]


def test_no_patient_data_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="mammo_monai")
    with ArchiveScp(on_store=aborting(2)) as archive:
        send(archive.peer, [image(1, n) for n in range(3)])
    assert "Müller" not in caplog.text
    assert "patient-1" not in caplog.text


def test_a_long_sending_says_how_long_it_will_take(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammo_monai.dicom.network.steps import Steps

    caplog.set_level(logging.INFO, logger="mammo_monai")
    monkeypatch.setattr("mammo_monai.pace.EVERY_S", 0.0)
    steps = Steps("sent", 3, None)
    for _ in range(3):
        steps.step()
    told = [each.getMessage() for each in caplog.records]
    assert told == [f"sent {n} of 3 instances, 0 s left" for n in (1, 2, 3)]
