"""Selects the mammograms for presentation, within the series that a site's own rules take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai.deploy.core.domain.dicom_series import DICOMSeries
from monai.deploy.core.domain.dicom_series_selection import SelectedSeries, StudySelectedSeries
from monai.deploy.core.domain.dicom_study import DICOMStudy
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator

from mammo_monai.apps.deploy_selection import Instance, instance_of, why_left_out
from mammo_monai.apps.deploy_settings import DeploySettings
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.errors import DicomError


class MammogramSelectorOperator(DICOMSeriesSelectorOperator):  # type: ignore[misc]  # the SDK has no types
    """The SDK's selector, image by image: one series may hold images for presentation and for processing.

    Named input:
        dicom_study_list: studies of mammograms.
    Named output:
        study_selected_series_list: the series with the images to mark; others are named in the summary.
    """

    def __init__(
        self, fragment: Any, *args: Any, settings: DeploySettings, summary: RunSummary, **kwargs: Any
    ) -> None:
        self._settings, self._summary = settings, summary
        super().__init__(fragment, *args, all_matched=True, **kwargs)

    def filter(
        self,
        selection_rules: Mapping[str, object] | None,
        dicom_study_list: Sequence[DICOMStudy],
        all_matched: bool = True,
        sort_by_sop_instance_count: bool = False,
    ) -> list[StudySelectedSeries]:
        """The series of each study that hold an image to mark, with these images alone."""
        rules = selection_rules or self._settings.series
        taken = None if rules is None else self._taken(rules, dicom_study_list)
        selected = []
        for study in dicom_study_list:
            chosen = StudySelectedSeries(study)
            for series in study.get_all_series():
                kept = DICOMSeries(series.SeriesInstanceUID)
                is_taken = taken is None or id(series) in taken
                for instance in map(_instance, series.get_sop_instances()):
                    if self._is_selected(instance, series_is_taken=is_taken):
                        kept.add_sop_instance(instance.header)
                if kept.get_sop_instances():
                    chosen.add_selected_series(SelectedSeries("mammograms", kept, None))
            if chosen.selected_series:
                selected.append(chosen)
        return selected

    def _taken(self, rules: Mapping[str, object], studies: Sequence[DICOMStudy]) -> set[int]:
        matching = super().filter(rules, studies, all_matched=True)
        return {id(each.series) for study in matching for each in study.selected_series}

    def _is_selected(self, instance: Instance, *, series_is_taken: bool) -> bool:
        why = why_left_out(instance, self._settings.rules)
        if why is None and not series_is_taken:
            why = DicomError("Its series matches none of the selections in app.yaml.")
        if why is not None:
            self._summary.leave_out(instance.record_id, why, instance.path)
        return why is None


def _instance(sop_instance: Any) -> Instance:
    return instance_of(sop_instance.get_native_sop_instance())
