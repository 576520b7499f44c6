"""One step of a run in a process of its own: the bundle's training, or its prediction of the test list.

Started by `processes`, which hands the first line of stdin to `main`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from mammo_monai.bundle import find_bundle, run_bundle
from mammo_monai.bundle.faults import own_error
from mammo_monai.bundle.trust import admitted
from mammo_monai.bundle.trust.snapshot import merged
from mammo_monai.errors import MammoError
from mammo_monai.experiments.configuration import EVALUATE, TRAIN
from mammo_monai.experiments.environment import environment
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.processes import FAULTS
from mammo_monai.experiments.step_request import TRAINING, Step
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.json_text import read_json

FAILED, INTERRUPTED = 2, 130
SCORING = "mammo_monai.metrics.score_files"


def run_step(step: Step) -> None:
    """Runs one step; its environment is written first, its report last.

    Raises:
        MammoError, OSError: as the bundle's run raises them.
    """
    _note_environment(Path(step.environment), step.kind)
    report = _train(step) if step.kind == TRAINING else _predict(step)
    write_json_atomic(Path(step.report), report)


def iterations_per_epoch(bundle: str, overrides: Mapping[str, Any], *, is_trusted: bool = False) -> int:
    """Batches of one epoch, as the training's own loader counts them; no image is read.

    Raises:
        MammoError, OSError: the loader cannot be built.
    """
    root = find_bundle(bundle)
    snapshot, _ = admitted(root, is_trusted=is_trusted)
    parser = ConfigParser()
    parser.read_config(merged(snapshot, [f"configs/{TRAIN}"]))
    # Where the data set keeps images, it would read them now; one without the option is left alone.
    cached = {name: 0.0 for name in ("train#dataset#cache_rate",) if name in parser}
    parser.update({"bundle_root": str(root), **overrides, **cached})
    try:
        return max(1, len(parser.get_parsed_content("train#dataloader")))
    except Exception as error:  # MONAI wraps whatever a component raises, so no narrower class would do
        raise own_error(error, f"{root.name}, {TRAIN}", parser.config, overrides) from error


class ImageClock:
    """Told of each finished image, it knows the median time from one to the next: reading and network."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, progress: object) -> None:
        """Notes the time now."""
        self.times.append(time.perf_counter())

    @property
    def seconds_per_image(self) -> float | None:
        """None before the second image: the first one's time holds all preparations."""
        steps = sorted(b - a for a, b in zip(self.times, self.times[1:], strict=False))
        return steps[len(steps) // 2] if steps else None


def _train(step: Step) -> dict[str, Any]:
    overrides = dict(step.overrides)
    if step.budget_iterations is not None:
        per_epoch = iterations_per_epoch(step.bundle, overrides, is_trusted=step.is_trusted)
        overrides["epochs"] = max(1, round(step.budget_iterations / per_epoch))
    workflow = run_bundle(step.bundle, "train", "training", overrides, is_trusted=step.is_trusted)
    state = workflow.parser.get_parsed_content("train#trainer").state
    return {"epochs": state.epoch, "iterations": state.iteration}


def _predict(step: Step) -> dict[str, Any]:
    clock = ImageClock()
    config = ConfigParser.load_config_files([str(find_bundle(step.bundle) / "configs" / EVALUATE)])
    timed = {"predictor#on_progress": clock} if "predictor" in config else {}
    # A patch classifier's `evaluating` scores patches; what it marks on whole images is another id.
    run_id = "detecting" if "detecting" in config else "evaluating"
    overrides = {**step.overrides, **timed, **_unscored(run_id, config.get(run_id))}
    workflow = run_bundle(
        step.bundle, "train", run_id, overrides, overlays=[EVALUATE], is_trusted=step.is_trusted
    )
    network: torch.nn.Module = workflow.parser.get_parsed_content("network")
    return {
        "n_parameters": sum(each.numel() for each in network.parameters()),
        "seconds_per_image": clock.seconds_per_image,
        "images_timed": max(0, len(clock.times) - 1),
    }


def _unscored(run_id: str, entries: Any) -> dict[str, Any]:
    """The id without the scoring in it: the runner scores by the experiment's own rule."""
    if not isinstance(entries, list):
        return {}
    kept = [each for each in entries if not (isinstance(each, dict) and each.get("_target_") == SCORING)]
    return {run_id: kept} if kept != entries else {}


def _note_environment(path: Path, kind: str) -> None:
    known = read_json(path, "the environment of a step", ExperimentError) if path.is_file() else {}
    write_json_atomic(path, {**known, kind: environment()})


def main(line: str) -> int:
    """Runs the step of a line of JSON; 0 done, 2 failed with one line on stderr."""
    step = Step.of_line(line)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("mammo_monai").setLevel(logging.INFO)
    try:
        run_step(step)
    except (MammoError, OSError, ValueError) as error:
        logging.getLogger(FAULTS).error("%s", error)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
