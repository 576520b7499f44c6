"""Writes one kind of DICOM result of the marks: structured report, presentation state …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Operator, OperatorSpec

from mammo_monai.apps.deploy_results import write_results
from mammo_monai.apps.deploy_summary import RunSummary
from mammo_monai.dicom.results import model_identity


class ResultOperator(Operator):  # type: ignore[misc]  # the SDK has no types
    """Writer of a kind of `mammo_monai.dicom.results.RESULT_KINDS`, into the source images' studies.

    Named input:
        marked: `MarkedInstance` for each image.
    """

    def __init__(
        self, fragment: Any, *args: Any, kind: str, output_folder: Path, summary: RunSummary, **kwargs: Any
    ) -> None:
        self._kind, self._folder, self._summary = kind, output_folder, summary
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declares the port."""
        spec.input("marked")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Writes a file per image, or per study."""
        marked = op_input.receive("marked")
        write_results(self._kind, marked, model_identity(self._summary.model), self._folder, self._summary)
