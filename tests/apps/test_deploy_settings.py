"""app.yaml's section for this package, and which folder is the model's."""

from pathlib import Path

import pytest

from mammo_monai.apps.deploy_selection import SelectionRules
from mammo_monai.apps.deploy_settings import DeploySettings, deploy_settings, model_folder
from mammo_monai.errors import BundleError
from mammo_monai.records import ViewPosition

SHIPPED = "cbis_mass_detection"


def test_what_is_absent_or_null_takes_its_default() -> None:
    expected = DeploySettings(bundle="mine")
    assert deploy_settings({"bundle": "mine"}) == expected
    nulls = dict.fromkeys(("fppi", "device", "results", "views", "intent_required", "series"))
    assert deploy_settings({"bundle": "mine", **nulls}) == expected
    assert expected.results == ("sr", "gsps")
    assert expected.rules == SelectionRules()


def test_every_setting_is_read() -> None:
    series = {"selections": [{"name": "screening", "conditions": {"Modality": "MG"}}]}
    settings = deploy_settings(
        {
            "bundle": "mine",
            "fppi": 1,
            "device": "cuda:1",
            "results": ["cad", "sc", "cad"],
            "views": ["CC"],
            "intent_required": True,
            "series": series,
        }
    )
    rules = SelectionRules(views=frozenset({ViewPosition.CC}), intent_required=True)
    assert settings == DeploySettings("mine", 1.0, "cuda:1", ("cad", "sc"), rules, series)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bundle": None}, "bundle must be a bundle's folder or name, got None"),
        ({"results": ["sr", "pdf"]}, "results must be of sr, cad, gsps, sc, seg, got"),
        ({"results": 3}, "results must be of"),
        ({"results": [["sr"]]}, "results must be of"),
        ({"views": ["XX"]}, "views must be of CC"),
        ({"fppi": 0}, "fppi must be a number above 0 or null, got 0"),
        ({"fppi": True}, "fppi must be a number"),
        ({"intent_required": "yes"}, "intent_required must be true or false, got 'yes'"),
        ({"series": {"selection": []}}, "series must hold the list `selections`"),
        ({"result": ["sr"]}, "knows bundle, fppi, device, .*; got result"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=f"site.yaml, mammo_monai: {message}"):
        deploy_settings({"bundle": "mine", **wrong}, where="site.yaml")


def bundle_in(folder: Path) -> Path:
    (folder / "configs").mkdir(parents=True)
    return folder


def test_the_given_folder_is_the_model(tmp_path: Path) -> None:
    assert model_folder(bundle_in(tmp_path / "mine"), DeploySettings(SHIPPED)) == tmp_path / "mine"


def test_a_packaged_application_finds_the_one_bundle_inside_the_models(tmp_path: Path) -> None:
    inside = bundle_in(tmp_path / "models" / "mine")
    assert model_folder(str(tmp_path / "models"), DeploySettings(SHIPPED)) == inside


@pytest.mark.parametrize("given", [None, "", "no/such/models"])
def test_without_a_model_folder_the_named_bundle_serves(given: str | None) -> None:
    assert model_folder(given, DeploySettings(SHIPPED)).name == SHIPPED


def test_a_file_is_no_model_folder(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.pt: expected a bundle's folder"):
        model_folder(tmp_path / "model.pt", DeploySettings(SHIPPED))


@pytest.mark.parametrize(("names", "found"), [((), "none"), (("a", "b"), "a, b")])
def test_no_bundle_or_several_are_refused(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    for name in names:
        bundle_in(tmp_path / name)
    with pytest.raises(BundleError, match=f"holds one bundle, found {found}"):
        model_folder(tmp_path, DeploySettings(SHIPPED))
