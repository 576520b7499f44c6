from mammo_monai.dicom.results import ModelIdentity, model_identity, result_uid

MARKER = {
    "bundle": "mass_bundle",
    "version": "1.2.0",
    "weights_sha256": "ab" * 32,
    "inference": {"inferer": "FullImageInferer"},
    "software": "mammo-monai 0.1.0",
    "operating_point": {"fppi": 0.5, "threshold": 0.31, "min_iou": 0.2},
}


def test_the_model_of_a_detections_file_gives_the_identity() -> None:
    expected = ModelIdentity("mass_bundle", "1.2.0", "ab" * 32, "mammo-monai 0.1.0", 0.31, 0.5)
    assert model_identity(MARKER) == expected


def test_what_a_handwritten_file_does_not_say_is_unknown_not_guessed() -> None:
    assert model_identity({}) == ModelIdentity("unnamed model", "unknown", None, "")
    assert model_identity({"name": "mine", "operating_point": "high", "version": 3}).name == "mine"
    assert model_identity({"operating_point": {"threshold": True}}).threshold is None


def test_a_result_has_one_uid_wherever_it_is_made() -> None:
    model = model_identity(MARKER)
    uid = result_uid("sr", ["1.2.3", "1.2.4"], model)
    assert uid == result_uid("sr", ["1.2.4", "1.2.3"], model)
    assert uid == result_uid("sr", ["1.2.3", "1.2.4"], model_identity({**MARKER, "software": "newer"}))
    assert uid.startswith("2.25.")
    assert len(uid) <= 64


def test_another_source_kind_weights_or_threshold_is_another_uid() -> None:
    model = model_identity(MARKER)
    other_weights = model_identity({**MARKER, "weights_sha256": "cd" * 32})
    other_point = model_identity({**MARKER, "operating_point": {"threshold": 0.5}})
    unhashed = [ModelIdentity("a", version, None, "") for version in ("1", "2")]
    uids = [
        result_uid("sr", ["1.2.3"], model),
        result_uid("cad", ["1.2.3"], model),
        result_uid("sr", ["1.2.4"], model),
        result_uid("sr", ["1.2.3"], other_weights),
        result_uid("sr", ["1.2.3"], other_point),
        result_uid("sr", ["1.2.3"], model, content="edited"),
        *(result_uid("sr", ["1.2.3"], each) for each in unhashed),
    ]
    assert len(set(uids)) == len(uids)
