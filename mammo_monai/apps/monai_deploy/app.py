"""The application: loader → selector → marking → a writer for each kind of result; and its exit code."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application

from mammo_monai.apps.deploy_settings import SECTION, DeploySettings, deploy_settings, model_folder
from mammo_monai.apps.deploy_summary import SUMMARY, RunSummary
from mammo_monai.apps.monai_deploy.loader_operator import MammogramLoaderOperator
from mammo_monai.apps.monai_deploy.marking_operator import MarkingOperator
from mammo_monai.apps.monai_deploy.result_operator import ResultOperator
from mammo_monai.apps.monai_deploy.selector_operator import MammogramSelectorOperator
from mammo_monai.errors import MammoError

logger = logging.getLogger(__name__)

CONFIG_VARIABLE = "HOLOSCAN_CONFIG_PATH"  # where a packaged application finds its app.yaml
MODEL_VARIABLE = "HOLOSCAN_MODEL_PATH"
_CONFIG = Path(__file__).with_name("app.yaml")


class MammogramApplication(Application):  # type: ignore[misc]  # the SDK has no types
    """Marks the mammograms of a folder.

    Attributes:
        summary: what became of each file; complete when `run` has returned.
    """

    def __init__(self, argv: Sequence[str] | None = None, config: Path | None = None) -> None:
        super().__init__(None if argv is None else list(argv))
        self.summary = RunSummary()
        self._config_path = config or Path(os.environ.get(CONFIG_VARIABLE, _CONFIG))
        self.context = _context(self.argv)

    @property
    def output_folder(self) -> Path:
        """Where the results and the summary go."""
        return Path(self.context.output_path)

    def settings(self) -> DeploySettings:
        """What app.yaml says.

        Raises:
            BundleError: it cannot be used; the message says why.
        """
        if not self._config_path.is_file():
            raise MammoError(f"{self._config_path}: expected the application's app.yaml, found none.")
        self.config(str(self._config_path))
        return deploy_settings(self.kwargs(SECTION), where=str(self._config_path))

    def _model_path(self) -> str | None:
        """As given; the SDK's own `model_path` is `models` where nobody gave one."""
        given = self.context.args.get("model") or os.environ.get(MODEL_VARIABLE)
        return None if given is None else str(given)

    def compose(self) -> None:
        """Builds the operators and the ways between them."""
        settings, summary = self.settings(), self.summary
        loader = MammogramLoaderOperator(
            self,
            CountCondition(self, 1),
            input_folder=Path(self.context.input_path),
            must_load=False,
            summary=summary,
            name="loader",
        )
        selector = MammogramSelectorOperator(self, settings=settings, summary=summary, name="selector")
        marking = MarkingOperator(
            self,
            bundle=model_folder(self._model_path(), settings),
            settings=settings,
            summary=summary,
            name="marking",
        )
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(selector, marking, {("study_selected_series_list", "study_selected_series_list")})
        for kind in settings.results:
            writer = ResultOperator(
                self, kind=kind, output_folder=self.output_folder, summary=summary, name=f"{kind}_writer"
            )
            self.add_flow(marking, writer, {("marked", "marked")})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the application.

    Returns:
        0 when at least one image was marked and none failed; else 1. Files that are left out by the rules
        fail nothing: summary.json names them all.
    """
    application = MammogramApplication(argv)
    folder = application.output_folder
    (folder / SUMMARY).unlink(missing_ok=True)  # an earlier run's must not vouch for this one
    try:
        _check_input(Path(application.context.input_path))
        application.run()
        application.summary.write(folder)
    except (MammoError, OSError) as error:
        logger.error("the run was given up: %s", error)
        return 1
    logger.info("%s: %s", folder, application.summary.headline)
    if not application.summary.marks:
        logger.error("no image was marked: summary.json in the output folder says why of each file")
    return 0 if application.summary.is_complete else 1


def _check_input(folder: Path) -> None:
    if not folder.is_dir():
        raise MammoError(f"{folder}: expected the folder of the images, found none. Give it with -i.")


def _context(argv: Sequence[str]) -> AppContext:
    """The command line as the SDK reads it; its lines at INFO hold paths and UIDs: only who asks gets them.

    Where nobody chose a log level, our lines come from INFO, all others from WARNING.
    """
    logging.disable(logging.INFO)
    context = Application.init_app_context(argv)
    logging.disable(logging.NOTSET)
    if "log_level" not in context.args:
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger("mammo_monai.apps").setLevel(logging.INFO)
        logging.getLogger("pydicom").setLevel(logging.ERROR)  # it warns of every oddity copied from a source
    return context
