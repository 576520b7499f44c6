"""Says what is wrong with a sweep before anything is trained: plans and builds its two furthest corners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mammo_monai.experiments.plan import Choice, make_plan
from mammo_monai.experiments.sweeps.definition import Sweep
from mammo_monai.experiments.sweeps.held_back import hashes_of, manifest_files, without_test_lists
from mammo_monai.experiments.trial import build_parts


def check_sweep(sweep: Sweep, manifests: Sequence[str] = ()) -> int:
    """Plans and builds the trial of all first values and that of all last ones; reads no image.

    Args:
        manifests: instead of the file's.

    Returns:
        How many trainings or predictions a trial has, those it starts from included.

    Raises:
        ExperimentError, ManifestError: as planning and building raise them.
    """
    files = manifest_files(tuple(manifests) or sweep.manifests)
    hashes_of(files)
    ends = [each.ends for each in sweep.parameters]
    corners = {
        name: {each.name: end[n] for each, end in zip(sweep.parameters, ends, strict=True)}
        for n, name in enumerate(("first_values", "last_values"))
    }
    with TemporaryDirectory() as folder:
        held_back = tuple(str(each) for each in without_test_lists(files, Path(folder)))
        plan = make_plan(sweep.experiment(corners), Choice(manifests=held_back))
        build_parts(plan)
    return sum(each.spec.name != "last_values" for each in plan.runs)
