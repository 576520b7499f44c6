"""Marks the selected mammograms with a bundle of this package."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.deploy.core import Operator, OperatorSpec
from monai.deploy.core.domain.dicom_series_selection import StudySelectedSeries

from mammo_monai.apps.deploy_marking import mark_instances
from mammo_monai.apps.deploy_selection import instance_of
from mammo_monai.apps.deploy_settings import DeploySettings
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.bundle import load_marker
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


class MarkingOperator(Operator):  # type: ignore[misc]  # the SDK has no types
    """Inference: as `mammo-monai predict`, on the files themselves.

    Named input:
        study_selected_series_list: series with the images to mark.
    Named output:
        marked: `MarkedInstance` for each image that could be marked.
    """

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        bundle: Path,
        settings: DeploySettings,
        summary: RunSummary,
        **kwargs: Any,
    ) -> None:
        self._bundle, self._settings, self._summary = bundle, settings, summary
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declares the ports."""
        spec.input("study_selected_series_list")
        spec.output("marked")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Loads the bundle, marks every image, and emits what was marked."""
        studies: Sequence[StudySelectedSeries] = op_input.receive("study_selected_series_list")
        instances = [
            instance_of(each.get_native_sop_instance())
            for study in studies
            for selected in study.selected_series
            for each in selected.series.get_sop_instances()
        ]
        device = {} if self._settings.device is None else {"device": self._settings.device}
        marker = load_marker(self._bundle, fppi=self._settings.fppi, overrides=device)
        self._summary.model = marker.model
        logger.info("%s: %s to mark", self._bundle.name, counted(len(instances), "image"))
        op_output.emit(mark_instances(instances, marker, self._summary), "marked")
