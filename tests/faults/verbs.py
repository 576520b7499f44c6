"""The commands that write, each on material that is made once; what a command left, for comparison."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mammo_monai.bundle import find_bundle, pack_bundle
from mammo_monai.bundle.sync import format_config
from mammo_monai.cli.main import main
from mammo_monai.dicom.results import write_results
from mammo_monai.engines import CheckpointHandler, ModelTrainer
from mammo_monai.errors import MammoError
from mammo_monai.experiments import Runner, make_plan, read_experiment
from mammo_monai.experiments.runner import Finished
from mammo_monai.files import in_words
from mammo_monai.networks import save_weights
from mammo_monai.phantoms import write_phantoms
from mammo_monai.records import Detections
from mammo_monai.schema import Manifest, write_detections, write_manifest
from mammo_monai.service.review import read_worklist
from mammo_monai.service.review import store as review_store
from mammo_monai.service.review.marks import review_json
from mammo_monai.service.review.store import ReviewStore
from tests.bundle.light import LINEAGE, SETTINGS, edit, small_network
from tests.bundle.packs import publish_tiny
from tests.data.conftest import make_record
from tests.dicom.results.sources import BOXES, digital_mammogram
from tests.experiments.conftest import StepsHere, write_experiment
from tests.inference.killed_run import SlowSamples, predictor
from tests.reports.scene import write_scene
from tests.service.review.scene import write_scene as write_review_scene


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, and stderr without its log."""

    code: int
    error: str


@dataclass(frozen=True)
class Verb:
    """A command: `run(material, out)` writes into the folder `out`.

    Attributes:
        operations: at most so many of its operations on the disk are made to fail.
        begin: puts into `out` what must be there.
        varies: names whose bytes tell of time, or of how far a run is.
    """

    name: str
    run: Callable[[Path, Path], Outcome]
    operations: int = 6
    varies: str = r"$^"
    begin: Callable[[Path, Path], object] = lambda material, out: None


def command(*words: object) -> Outcome:
    """Runs a command line in this process."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(shown):
        code = main([str(each) for each in words])
        for handler in logging.getLogger().handlers:
            handler.flush()
    lines = [line for line in shown.getvalue().splitlines() if re.match(r"mammo-monai [a-z]+: ", line)]
    return Outcome(code, "\n".join(lines))


def write_material(folder: Path) -> Path:
    """Films with a manifest, a scored run, DICOM files with detections."""
    for name in ("films", "scored/run", "images"):
        (folder / name).mkdir(parents=True)
    films = [make_record(folder / "films", number, lesions) for number, lesions in enumerate([1, 0, 1])]
    write_manifest(folder / "films.json", Manifest(training=tuple(films[:2]), test=tuple(films[2:])))
    write_phantoms(folder / "phantoms", layout="inbreast", patients=3, seed=1, pixel_spacing_mm=0.7)
    write_scene(folder / "scored")
    digital_mammogram(uid="1.2.3.1").save_as(folder / "images" / "1.dcm", enforce_file_format=True)
    write_bundles(folder)
    write_review_scene(folder / "review")
    found = Detections(
        "one", BOXES, np.array([0.8, 0.4]), np.zeros(2, dtype=np.int64), folder / "images" / "1.dcm"
    )
    write_detections(
        folder / "d.json", [found], {"bundle": "b", "version": "1.2.0", "weights_sha256": "ab" * 32}
    )
    return folder


def write_bundles(folder: Path) -> None:
    """One with weights of a few bytes and its pack; another without, and weights to publish."""
    for home in ("site", "unpublished"):
        ignored = shutil.ignore_patterns("models", "eval", "training")
        copy = Path(
            shutil.copytree(find_bundle("cbis_mass_detection"), folder / home / "light", ignore=ignored)
        )
        for path in (copy / "configs" / "train.json", copy / "configs" / "inference.json"):
            content = json.loads(path.read_text())
            content["network_def"]["fpn_channels"] = SETTINGS["fpn_channels"]
            path.write_text(format_config(content))
        edit(
            copy, lambda metadata: [metadata.pop(name, None) for name in ("weights_sha256", "weights_bytes")]
        )
    publish_tiny(folder / "site" / "light")
    pack_bundle(folder / "site" / "light", folder / "light.zip")
    save_weights(small_network(), folder / "model.safetensors", LINEAGE)


def _predict(name: str) -> Callable[[Path, Path], Outcome]:
    def run(_: Path, out: Path) -> Outcome:
        run = predictor(out / name, SlowSamples())
        run.shard_rows = 3
        return _called("predict", run.run)

    return run


def _structured_report(material: Path, out: Path) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:  # the time of day stands in the file
        patch.setattr(write_results, "datetime", SimpleNamespace(now=lambda: datetime(2020, 1, 2)))
        return command("dicom", "sr", material / "d.json", "-o", out)


def _report(material: Path, out: Path) -> Outcome:
    run = material / "scored" / "run" / "metrics.json"
    return command(
        "report", run, "--manifest", material / "scored" / "manifest.json", "-o", out / "report.csv"
    )


class Slope(torch.nn.Module):
    """The smallest model a training takes: the loss is the distance from the images' brightness."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = torch.nn.Linear(1, 1)
        self.network.settings = small_network().settings  # as our networks have

    def forward(self, images: list[torch.Tensor], _: object = None) -> dict[str, torch.Tensor]:
        brightness = torch.stack([each.mean() for each in images])[:, None]
        return {"distance": (self.network(brightness) - brightness).square().mean()}


class Brightness:
    """Two batches of one image, another in each epoch."""

    epoch = 0

    def __len__(self) -> int:
        return 2

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[dict[str, object]]]:
        for n in range(2):
            yield [{"image": torch.full((1, 3, 2), 0.1 * n + self.epoch), "record_id": str(n)}]


def _train(_: Path, out: Path) -> Outcome:
    model = Slope()
    trainer = ModelTrainer(
        model=model,
        optimizer=torch.optim.Adam(model.network.parameters(), lr=0.1),
        train_data_loader=Brightness(),
        max_epochs=3,
        device="cpu",
        target_keys=(),
        train_handlers=[CheckpointHandler(out)],
    )
    return _called("train", trainer.run)


def _experiment(material: Path, out: Path) -> Outcome:
    runs = [{"name": "none", "overrides": {"augment": "none"}}]
    plan = make_plan(read_experiment(write_experiment(material / "experiment", runs=runs)), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mammo_monai.experiments.runner.Processes", StepsHere)
        finished: list[Finished] = []
        outcome = _called("experiment", lambda: finished.extend(Runner(plan, out).run()))
    failed = [each.message for each in finished if not each.is_done]
    return Outcome(2, "mammo-monai experiment: " + failed[0]) if failed else outcome


def _publish(material: Path, out: Path) -> Outcome:
    return command(
        "bundle", "publish", "--bundle", out / "light", "--weights", material / "model.safetensors"
    )


def _review(material: Path, out: Path) -> Outcome:
    def review() -> None:
        worklist = read_worklist(material / "review" / "detections.json")
        with ReviewStore(out, worklist, threshold=0.3) as store:
            for number in range(3):
                if not store.review(number).revision:
                    store.save(
                        number, {**review_json(store.review(number)), "reader": "AB", "comment": "seen"}
                    )

    with pytest.MonkeyPatch.context() as patch:  # the time of day stands in the file
        patch.setattr(review_store, "datetime", SimpleNamespace(now=lambda _: datetime(2020, 1, 2)))
        return _called("review", review)


def _called(verb: str, run: Callable[[], object]) -> Outcome:
    """Runs a part of a command that has too much around it; errors as the command tells them."""
    try:
        run()
    except (MammoError, OSError, ValueError) as error:
        return Outcome(2, f"mammo-monai {verb}: {in_words(error)}")
    return Outcome(0, "")


VERBS = (
    Verb(
        "manifest",
        lambda m, out: command("manifest", "inbreast", m / "phantoms", "-o", out / "manifest.json"),
    ),
    Verb("prepare", lambda m, out: command("prepare", m / "films.json", "--out", out, "--size-px", 40)),
    Verb("predict json", _predict("d.json"), operations=16),
    Verb("predict jsonl", _predict("d.jsonl"), operations=16),
    Verb("predict parquet", _predict("d.parquet"), operations=16),
    Verb(
        "evaluate",
        lambda m, out: command(
            *(
                "evaluate",
                m / "scored" / "run" / "detections.json",
                "--manifest",
                m / "scored" / "manifest.json",
            ),
            *("-o", out / "metrics.json", "--bootstrap", 2),
        ),
    ),
    Verb("report", _report, operations=4),
    Verb("dicom sr", _structured_report),
    Verb("train", _train, varies=r"(model|checkpoint_last)\..*"),
    Verb(
        "experiment",
        _experiment,
        operations=8,
        varies=r"(done|environment|training|prediction)\.json|model\..*",
    ),
    Verb(
        "bundle pack", lambda m, out: command("bundle", "pack", m / "site" / "light", "-o", out / "light.zip")
    ),
    Verb("bundle pull", lambda m, out: command("bundle", "pull", m / "light.zip", "-o", out)),
    Verb(
        "bundle publish",
        _publish,
        operations=4,
        begin=lambda m, out: shutil.copytree(m / "unpublished" / "light", out / "light"),
    ),
    Verb("review", _review),
    Verb("apps copy", lambda m, out: command("apps", "copy", "monai-deploy", out / "app"), operations=4),
)


def contents(folder: Path, varies: str = r"$^") -> Mapping[str, str]:
    """Hash of each file by its name, without locks and what a run leaves to go on from."""
    return {
        path.relative_to(folder).as_posix(): ""
        if re.fullmatch(varies, path.name)
        else sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(is_passing(name) for name in path.relative_to(folder).parts)
    }


def is_passing(name: str) -> bool:
    """Names that are never read as a result."""
    of_runs = r"attempts\.json|.*\.log|failed\.json|checkpoint_last\.pt|\.pull"
    return bool(re.fullmatch(rf"\..*(\.part\.?.*|lock)|.*\.partial.*|{of_runs}", name))
