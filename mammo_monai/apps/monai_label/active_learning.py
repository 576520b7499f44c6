"""Which image a reader should look at next: the one the model is least sure of."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy

from mammo_monai.apps.monai_label.folder_store import MammogramFolder
from mammo_monai.apps.monai_label.http_errors import HTTPException
from mammo_monai.apps.monai_label.tasks import MarkTask
from mammo_monai.pace import Pace

logger = logging.getLogger(__name__)

NAME = "uncertainty"
# So long an image that was offered to one reader is kept from the next, while there are others.
OFFERED_S = 600


class UncertaintyScoring(ScoringMethod):  # type: ignore[misc]  # monailabel carries no types
    """Notes each unlabelled image's uncertainty beside it; marks the images that no batch has marked yet.

    Args:
        tasks: of all models by name; the first one scores unless the request names another `model`.
    """

    def __init__(self, tasks: Mapping[str, MarkTask]) -> None:
        super().__init__("Entropy about the operating point of each image's least certain mark")
        self._tasks = tasks

    def __call__(self, request: Mapping[str, Any], datastore: MammogramFolder) -> dict[str, int]:
        """How many images were scored now, were scored before by the same weights, or failed."""
        name = request.get("model") or next(iter(self._tasks), "")
        task = self._tasks.get(name)
        sha256 = task.weights_sha256() if task else None
        if task is None or sha256 is None:
            raise HTTPException(409, f"model {name!r} has no weights to score with; train it first.")
        counts = {"scored": 0, "known": 0, "failed": 0}
        images, pace = sorted(datastore.get_unlabeled_images()), Pace(logger, "scored")
        for done, image in enumerate(images, start=1):
            counts[self._score(image, task, sha256, request, datastore)] += 1
            pace(done, len(images))
        logger.info("uncertainty: %s", counts)
        return counts

    @staticmethod
    def _score(
        image: str, task: MarkTask, sha256: str, request: Mapping[str, Any], datastore: MammogramFolder
    ) -> str:
        """scored, known or failed."""
        if datastore.get_image_info(image).get(NAME, {}).get("weights_sha256") == sha256:
            return "known"
        proposal = datastore.get_label_info(image, "original").get("params", {})
        if proposal.get("model", {}).get("weights_sha256") != sha256 or NAME not in proposal:
            try:
                asked = {"image": datastore.get_image_uri(image), "result_write_to_file": False}
                _, proposal = task({**asked, "device": request.get("device")})
            except (
                Exception
            ) as error:  # one image that cannot be read must not keep the others from their turn
                logger.warning("one image was not scored: %s", type(error).__name__)
                return "failed"
        datastore.update_image_info(image, {NAME: {"score": proposal[NAME], "weights_sha256": sha256}})
        return "scored"


class LeastCertain(Strategy):  # type: ignore[misc]  # monailabel carries no types
    """Offers the unlabelled image with the highest uncertainty; images without one come last."""

    def __init__(self) -> None:
        super().__init__("The image the model is least sure of; run the scoring `uncertainty` first")

    def __call__(self, request: Mapping[str, Any], datastore: MammogramFolder) -> dict[str, Any] | None:
        """Its id and uncertainty, None for unscored; None where every image has a label."""
        datastore.refresh()
        images = sorted(datastore.get_unlabeled_images())
        if not images:
            return None
        info = {image: datastore.get_image_info(image) for image in images}
        now = time.time()

        def rank(image: str) -> tuple[bool, float]:
            offered = info[image].get("strategy", {}).get(request["strategy"], {}).get("ts", 0)
            # A time to come was noted before the clock went back: it must not keep an image waiting for ever.
            return not 0 <= now - offered < OFFERED_S, info[image].get(NAME, {}).get("score", -1.0)

        chosen = max(images, key=rank)
        return {"id": chosen, "weight": info[chosen].get(NAME, {}).get("score")}
