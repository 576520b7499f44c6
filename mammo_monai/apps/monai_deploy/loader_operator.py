"""Loads the mammograms of a folder as the SDK's studies and series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core.domain.dicom_series import DICOMSeries
from monai.deploy.core.domain.dicom_study import DICOMStudy
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator

from mammo_monai.apps.deploy_selection import load_instances
from mammo_monai.apps.deploy_summary import RunSummary


class MammogramLoaderOperator(DICOMDataLoaderOperator):  # type: ignore[misc]  # the SDK has no types
    """The SDK's loader with another way of reading files.

    The SDK's own keeps all pixels of all files in memory, ends the run at a file it cannot parse, and drops
    instances with an empty Series Number without a word.

    Named output:
        dicom_study_list: studies of mammograms, headers only.
    """

    def __init__(self, fragment: Any, *args: Any, summary: RunSummary, **kwargs: Any) -> None:
        self._summary = summary
        super().__init__(fragment, *args, **kwargs)

    def _load_data(self, files: list[str]) -> list[DICOMStudy]:
        studies: dict[str, DICOMStudy] = {}
        series: dict[tuple[str, str], DICOMSeries] = {}
        for each in load_instances(map(Path, files), Path(self.input_path), self._summary):
            study_uid, key = each.study_uid, (each.study_uid, each.series_uid)
            if study_uid not in studies:
                studies[study_uid] = DICOMStudy(study_uid)
            if key not in series:
                series[key] = DICOMSeries(each.series_uid)
                studies[study_uid].add_series(series[key])
            series[key].add_sop_instance(each.header)
        return list(studies.values())
