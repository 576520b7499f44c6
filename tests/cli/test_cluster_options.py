"""`predict --cluster`: what reaches the job, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.cli.main import main
from tests.service.cluster.stand_ins import ClusterHere

BUNDLE = "cbis_mass_detection"


def predict(*arguments: object, image: Path | str = "film.png") -> int:
    return main(["predict", str(image), "--bundle", BUNDLE, "-o", "o.parquet", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunk", 3], "--chunk: say on which cluster: --cluster local, auto or HOST:PORT"),
        (["--worker-gpus", 1, "--cluster-workers", 2], "--cluster-workers, --worker-gpus: say on which"),
        (["--cluster", "local", "--on-error", "stop"], "an image that fails is listed, and the others go on"),
        (["--cluster", "local", "--maps", "m"], "--maps is drawn on one machine"),
        (["--cluster", "local", "--bundle", BUNDLE], "run it for each, then `mammo-monai fuse`"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_summary_is_that_of_predict_and_numbers_reach_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def cluster(options: Any) -> ClusterHere:
        asked.append(options)
        return ClusterHere()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammo_monai.service.cluster.RayCluster", cluster)
    films = tmp_path / "films"
    films.mkdir()
    Image.fromarray(np.full((40, 30), 9, dtype=np.uint8)).save(films / "plain.png")
    (films / "broken.png").write_bytes(b"no picture")
    options = ["--cluster", "10.0.0.1:6379", "--cluster-workers", 3, "--worker-cpus", 2, "--chunk", 1]
    assert predict(*options, "--score_threshold", 0.99, "--device", "cpu", image=films) == 1
    summary, made_by = capsys.readouterr().out.splitlines()
    assert summary == "o.parquet: 1 image, 0 marks, 1 image failed"
    assert made_by.startswith("made by cbis_mass_detection 0.1.0, weights 54271f5eb37d, ")
    (given,) = asked
    assert (given.address, given.workers, given.cpus_per_worker, given.gpus_per_worker) == (
        "10.0.0.1:6379",
        3,
        2,
        None,
    )
    assert len(list((tmp_path / "o.parquet").glob("part-*.parquet"))) == 2
