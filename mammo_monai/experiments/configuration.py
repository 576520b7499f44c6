"""What a run's training and prediction are configured with: the bundle's files, overrides put in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from mammo_monai.bundle.faults import check_ids
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.inspection import inspect_values
from mammo_monai.bundle.lineage import PUBLISHED, resolve_init
from mammo_monai.bundle.trust import admitted
from mammo_monai.bundle.trust.gate import entries_text
from mammo_monai.bundle.trust.snapshot import merged
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.run_spec import RunSpec
from mammo_monai.files import sha256_of
from mammo_monai.metrics import FrocRule

Config = dict[str, Any]
TRAIN, EVALUATE = "train.json", "evaluate.json"
_FIRST_OPTIONS = ("min_iou", "count_double_hits", "label", "fppi", "n_bootstrap", "seed", "confidence")


def training_config(run: RunSpec, where: str) -> Config:
    """The bundle's train.json with the run's overrides, expressions as they stand.

    Raises:
        ExperimentError: no such bundle, file or id; the message names the run.
    """
    return _overridden(run, [TRAIN], run.overrides, where)


def prediction_config(run: RunSpec, where: str) -> Config:
    """train.json under evaluate.json with the run's overrides for both; see `training_config`."""
    return _overridden(run, [TRAIN, EVALUATE], prediction_overrides(run, where), where)


def prediction_overrides(run: RunSpec, where: str) -> Config:
    """The overrides of prediction: those of training but for ids that evaluate.json sets itself, and its own.

    `init` is one: a run's start must not replace the weights it was trained to.
    """
    own = ConfigParser.load_config_files([str(path) for path in _files(run, [EVALUATE], where)])
    shared = {name: each for name, each in run.overrides.items() if name.partition("#")[0] not in own}
    return {**shared, **run.predict_overrides}


def start_of(run: RunSpec, config: Config, where: str) -> tuple[str, str]:
    """Name and SHA-256 of the weights a run starts from; the hash is "" for published and random ones.

    Of weights that another run of the experiment is still to be trained to, too: see `PlannedRun.started`.

    Raises:
        ExperimentError: there are none, or a run that is not trained has no weights of its own to predict by.
    """
    init = config.get("init")
    if not isinstance(init, str) or init.startswith(("$", "@", "%")):
        raise ExperimentError(
            f"{where}: init must be coco, imagenet, none, run:NAME, a bundle or a file, got {init!r:.80}."
        )
    if run.parent is not None:
        return init, ""
    try:
        start = resolve_init(init, find_bundle(run.bundle))
    except (BundleError, WeightsError) as error:
        raise ExperimentError(f"{where}: {error}") from error
    if start in PUBLISHED:
        if not run.is_trained:
            raise ExperimentError(
                f"{where}: a run with train false predicts with the weights that init names: a bundle with "
                f"weights, or a weights file; got {init}."
            )
        return init, ""
    return Path(init).name, sha256_of(Path(start))


def check_same_network(child: Config, parent: Config, where: str, parent_name: str) -> None:
    """Refuses a start from weights of another network, before anything is trained.

    A whole-image classifier starts from a patch classifier with the same backbone, and adds its top.

    Args:
        child, parent: configurations of both trainings. where: names the child.

    Raises:
        ExperimentError: names what differs.
    """
    before, after = parent.get("network_def"), child.get("network_def")
    if (_factory(before), _factory(after)) == ("patch_network", "whole_image_network"):
        before, after = ({"backbone": (each or {}).get("backbone")} for each in (before, after))
    changes = changes_between(before, after, "network_def")
    if changes:
        raise ExperimentError(
            f"{where}: it starts from run {parent_name}, which trains another network "
            f"({'; '.join(changes)}). Give both the same network_def."
        )


def _factory(network: Any) -> str:
    """The function that makes a network, by the last word of its dotted name."""
    return str(network.get("_target_")).rpartition(".")[2] if isinstance(network, dict) else ""


def rule_values(rule: FrocRule) -> dict[str, Any]:
    """The rule's options as plain JSON; those that came later only where they are not the default.

    Else an option that is added to the rule would make every finished run another one.
    """
    plain, default = asdict(rule), asdict(FrocRule())
    kept = {name: each for name, each in plain.items() if name in _FIRST_OPTIONS or each != default[name]}
    return {name: list(each) if isinstance(each, tuple) else each for name, each in kept.items()}


def config_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of JSON content with sorted keys and without spaces.

    >>> config_hash({"a": 1, "b": [2]}) == config_hash({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changes_between(before: Any, after: Any, name: str = "") -> list[str]:
    """What differs between two JSON contents, one line per value: `id: before → after`.

    >>> changes_between({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}, "d": None})
    ['a#b: 1 → 3', 'd: not there → None']
    """
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        for key in sorted({*before, *after}):
            inner = f"{name}#{key}" if name else key
            lines += changes_between(before.get(key, _ABSENT), after.get(key, _ABSENT), inner)
        return lines
    return [f"{name}: {_short(before)} → {_short(after)}"]


def _overridden(run: RunSpec, names: Sequence[str], overrides: Mapping[str, Any], where: str) -> Config:
    _files(run, names, where)
    try:
        # Here nothing is run, but a run that would be refused is better refused before the first begins.
        snapshot, _ = admitted(find_bundle(run.bundle), is_trusted=run.is_trusted)
        config = deepcopy(merged(snapshot, [f"configs/{name}" for name in names]))
        check_ids(overrides, config, f"{Path(run.bundle).name} ({' + '.join(names)})")
        _check_values(overrides)
    except (BundleError, ValueError) as error:
        raise ExperimentError(f"{where}: {error}") from error
    for name, value in overrides.items():
        _put(config, name, value)
    return config


def _check_values(overrides: Mapping[str, Any]) -> None:
    """Refuses expressions that are not on the list: an experiment file comes from others as bundles do.

    Raises:
        BundleError: names id, text and reason.
    """
    if outside := inspect_values(overrides, "overrides").outside:
        raise BundleError(
            f"{entries_text(outside)}. Put it into a bundle of your own, and trust that "
            "(`mammo-monai bundle trust`)."
        )


def _files(run: RunSpec, names: Sequence[str], where: str) -> list[Path]:
    try:
        root = find_bundle(run.bundle)
    except BundleError as error:
        raise ExperimentError(f"{where}: {error}") from error
    files = [root / "configs" / name for name in names]
    for path in files:
        if not path.is_file():
            raise ExperimentError(f"{where}: {root} has no configs/{path.name}: it cannot be run here.")
    return files


def _put(config: Config, name: str, value: Any) -> None:
    """Sets an id that `check_ids` has let pass: every part but perhaps the last is there."""
    node: Any = config
    *parents, last = name.replace("::", "#").split("#")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    node[int(last) if isinstance(node, list) else last] = value


class _Absent:
    def __repr__(self) -> str:
        return "not there"


_ABSENT = _Absent()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
