"""A step of a second: instead of training it writes what a training leaves; marks lesions by chance.

Run as a process. The run's `seed` says how it goes: 13 fails in training, 14 in prediction, 15 is killed;
21 and 22 hang in training and in prediction, once, so that a test can kill them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammo_monai.files import write_json_atomic
from mammo_monai.records import Detections
from mammo_monai.schema import read_manifest, write_detections

# Not imported from the package under test: it imports torch, and every test starts some of these.
FAULTS = "mammo_monai.experiments.step"
TRAINING, EPOCHS = "training", 4


@dataclass
class Step:
    """The fields of `step_request.Step`."""

    kind: str
    bundle: str
    overrides: dict[str, object]
    report: str
    environment: str
    budget_iterations: int | None = None
    is_trusted: bool = False


def main() -> None:
    step = Step(**json.loads(sys.stdin.readline()))
    if os.environ.get("FAKE_STEP_MENDED"):
        step.overrides.pop("seed")
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    seed = step.overrides.get("seed", 0)
    sys.stderr.write("starting\n")
    note_environment(step)
    if seed == (13 if step.kind == TRAINING else 14):
        sys.stderr.write(f"12:00:00 ERROR {FAULTS}: the loss is not finite\n")
        sys.exit(2)
    if seed == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    hang = Path(step.report).with_name("hung")
    if seed == (21 if step.kind == TRAINING else 22) and not hang.exists():
        hang.write_text(str(os.getpid()))
        time.sleep(600)
    perform(step)


def note_environment(step: Step) -> None:
    environment = {"cpu": "a processor", "threads": 1, "gpus": []}
    write_json_atomic(Path(step.environment), {step.kind: environment})


def perform(step: Step) -> None:
    report = train(step) if step.kind == TRAINING else predict(step)
    write_json_atomic(Path(step.report), report)


def train(step: Step) -> dict[str, object]:
    folder = Path(str(step.overrides["output_dir"]))
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(1, EPOCHS + 1):
        figure = f", mean_sensitivity {0.2 * epoch:.3f}" if epoch % 2 == 0 else ""
        sys.stderr.write(
            f"INFO x: training: epoch {epoch}/{EPOCHS}, loss {2 / epoch:.4f}{figure}, 1 s per epoch, 0 left\n"
        )
    (folder / "checkpoint_last.pt").write_text("state")
    (folder / "model.safetensors").write_text(json.dumps(step.overrides, sort_keys=True))
    return {"epochs": step.budget_iterations or EPOCHS, "iterations": 40}


def predict(step: Step) -> dict[str, object]:
    skill = {"light": 0.7, "strong": 0.95}.get(str(step.overrides.get("augment")), 0.4)
    if not Path(str(step.overrides["weights"])).is_file():
        raise FileNotFoundError(step.overrides["weights"])
    found = []
    scored = str(step.overrides["split"])
    for record in read_manifest(Path(str(step.overrides["manifest"]))).images(scored):
        random = np.random.default_rng(int(record.record_id, 16))
        boxes = [[0.0, 0.0, 9.0, 9.0]]
        boxes += [list(lesion.box) for lesion in record.lesions if random.random() < skill]
        scores = random.uniform(0.1, 0.9, len(boxes))
        scores[1:] += 0.1
        labels = np.zeros(len(boxes), dtype=np.int64)
        found.append(Detections(record.record_id, np.array(boxes), scores, labels, record.image))
    write_detections(Path(str(step.overrides["eval_dir"])) / "detections.json", found, {"name": "fake"})
    return {"n_parameters": 5_000_000, "seconds_per_image": 0.25, "images_timed": len(found) - 1}


if __name__ == "__main__":
    main()
