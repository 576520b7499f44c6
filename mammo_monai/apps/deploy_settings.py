"""What a site chooses in app.yaml for the MONAI Deploy application, and the folder of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.apps.deploy_selection import SelectionRules
from mammo_monai.bundle import find_bundle
from mammo_monai.dicom.results import RESULT_KINDS
from mammo_monai.errors import BundleError
from mammo_monai.records import ViewPosition

SECTION = "mammo_monai"
_KEYS = ("bundle", "fppi", "device", "results", "views", "intent_required", "series")


@dataclass(frozen=True)
class DeploySettings:
    """The section `mammo_monai` of app.yaml.

    Attributes:
        bundle: used where no model folder is given with `-m`.
        fppi: shows what the bundle's operating point for that many false positives per image shows; None
            shows everything.
        device: cpu, cuda:0 …; None leaves it to the bundle.
        results: kinds of `RESULT_KINDS` to write, in this order.
        rules: which mammograms are marked.
        series: the SDK's own selection rules, `{"selections": […]}`; None selects every series.
    """

    bundle: str
    fppi: float | None = None
    device: str | None = None
    results: tuple[str, ...] = ("sr", "gsps")
    rules: SelectionRules = field(default_factory=SelectionRules)
    series: Mapping[str, object] | None = None


def deploy_settings(section: Mapping[str, object], where: str = "app.yaml") -> DeploySettings:
    """Settings from the parsed section; what is absent or null takes its default.

    Raises:
        BundleError: an unknown key, kind or view, or a value of another type.

    >>> deploy_settings({"bundle": "mine", "results": ["sr"], "views": ["CC", "MLO"]}).results
    ('sr',)
    """
    given = {key: value for key, value in section.items() if value not in (None, [])}
    if unknown := sorted(set(section) - set(_KEYS)):
        raise BundleError(f"{where}, {SECTION}: knows {', '.join(_KEYS)}; got {', '.join(unknown)}.")
    bundle = given.get("bundle")
    if not isinstance(bundle, str):
        raise BundleError(f"{where}, {SECTION}: bundle must be a bundle's folder or name, got {bundle!r}.")
    views = _choices(where, "views", given.get("views", []), [each.value for each in ViewPosition])
    return DeploySettings(
        bundle=bundle,
        fppi=_fppi(given.get("fppi"), where),
        device=None if given.get("device") is None else str(given["device"]),
        results=_choices(where, "results", given.get("results", ["sr", "gsps"]), RESULT_KINDS),
        rules=SelectionRules(
            views=frozenset(map(ViewPosition, views)),
            intent_required=_claim(where, given.get("intent_required", False)),
        ),
        series=_series(where, given.get("series")),
    )


def model_folder(given: Path | str | None, settings: DeploySettings) -> Path:
    """The bundle to run: the folder given with `-m`, the one inside it, else the one app.yaml names.

    Args:
        given: the SDK's model path. A packaged application has one even where no model was packaged; its
            bundle lies there in a folder of its own name.

    Raises:
        BundleError: the folder holds no bundle, or several; or the bundle that app.yaml names is nowhere.
    """
    if not given or not Path(given).exists():
        return find_bundle(settings.bundle)
    root = Path(given).absolute()
    if (root / "configs").is_dir():
        return root
    inside = sorted(path.parent for path in root.glob("*/configs") if path.is_dir())
    if len(inside) != 1:
        named = ", ".join(path.name for path in inside) or "none"
        raise BundleError(
            f"{root}: expected a bundle's folder (with configs/) or a folder that holds one bundle, "
            f"found {named}. Give the bundle's own folder with -m."
        )
    return inside[0]


def _fppi(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise BundleError(f"{where}, {SECTION}: fppi must be a number above 0 or null, got {value!r}.")
    return float(value)


def _claim(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BundleError(f"{where}, {SECTION}: intent_required must be true or false, got {value!r}.")
    return value


def _choices(where: str, key: str, value: object, allowed: Sequence[str]) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, Sequence) or not all(each in allowed for each in words):
        raise BundleError(f"{where}, {SECTION}: {key} must be of {', '.join(allowed)}, got {value!r}.")
    return tuple(dict.fromkeys(words))


def _series(where: str, value: object) -> Mapping[str, object] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("selections"), Sequence):
        raise BundleError(
            f"{where}, {SECTION}: series must hold the list `selections`, each with a name and conditions "
            f"(rules of the SDK's DICOMSeriesSelectorOperator), or be null; got {value!r}."
        )
    return value
