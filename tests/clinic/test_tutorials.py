"""The tutorials that need servers, run as they are written: their own blocks, in order, in one shell.

Ports become free ones of loopback; `quick` comments make phantoms smaller. Where the reader looks at a
browser, the shell waits while Chromium does it. Every line of output that a page shows must have been
printed, numbers apart.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
import requests

from mammo_monai.dicom.results import read_marks
from mammo_monai.schema import read_detections, read_manifest
from scripts.clinic.ohif import CERTAINTY, PICTURE, REPORT_SERIES, TOUR, WAIT_MS, drawn_boxes
from tests.clinic.label_server import why_no_monai_label
from tests.clinic.orthanc_server import why_no_orthanc
from tests.docs.snippets import Block, Page, read_page
from tests.docs.steps import write_steps

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as BrowserPage

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
THIS = "tests/clinic/test_tutorials.py"
PORT = re.compile(r"(?<=[:\s])(3000|4243|8000|8043|8089|8477|11113)\b")
LONGEST_S = 1500
Look = Callable[[Path], None]


@dataclass(frozen=True)
class Followed:
    """What following a page left: the folder the reader began in, and all that was printed."""

    folder: Path
    printed: str


class Follower:
    """Runs a page's blocks in a folder beside a clone; pauses where the reader looks elsewhere."""

    def __init__(self, name: str, folder: Path, free_port: Callable[[], int]) -> None:
        self.folder, self.name = folder / "here", name
        self.folder.mkdir()
        (self.folder / "mammo-monai").symlink_to(ROOT)
        self.aside = folder / "aside"
        self.ports: dict[str, int] = {}
        self._free_port = free_port

    def follow(self, looks: Mapping[str, Look]) -> Followed:
        """Runs the page; `looks` are called when the block with these words has run, with its folder's root.

        Raises:
            AssertionError: a block failed, or ran too long; the end of what was printed is told.
        """
        page = read_page(TUTORIALS / self.name)
        is_literal = "MAMMO_LITERAL" in os.environ  # at full size, as a reader would
        steps = write_steps(self._ours(page, looks), self.aside, quick=not is_literal)
        log = self.aside / "output.txt"
        with self._running(steps.script, log, steps.times) as process:
            for number, look in enumerate(looks.values()):
                self._wait(process, log, self.aside / f"paused.{number}")
                look(self.folder)
                (self.aside / f"resumed.{number}").touch()
            self._wait(process, log, None)
        return Followed(self.folder, log.read_text(errors="replace"))

    def said(self, pattern: str) -> str:
        """The first group of what a program that was just started prints, once it is printed."""
        for _ in range(600):
            if found := re.findall(pattern, (self.aside / "output.txt").read_text(errors="replace")):
                return str(found[-1])
            time.sleep(0.2)
        raise AssertionError(f"never printed: {pattern}")

    def port(self, written: str) -> int:
        """The free port that stands for a port of the page."""
        return self.ports.setdefault(written, self._free_port())

    def _ours(self, page: Page, looks: Mapping[str, Look]) -> Page:
        blocks = [
            replace(each, run_by="", text=self._text(each)) for each in page.blocks if each.run_by == THIS
        ]
        for number, words in enumerate(looks):
            (at,) = (n for n, each in enumerate(blocks) if words in each.text and each.language == "bash")
            waiting = f"touch {self.aside}/paused.{number}\n"
            waiting += f"until [ -e {self.aside}/resumed.{number} ]; do sleep 0.2; done\n"
            blocks[at] = replace(blocks[at], text=blocks[at].text + waiting)
        return replace(page, blocks=tuple(blocks))

    def _text(self, block: Block) -> str:
        return PORT.sub(lambda found: str(self.port(found[0])), block.text)

    @contextmanager
    def _running(self, script: Path, log: Path, times: Path) -> Iterator[subprocess.Popen[bytes]]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(self.aside), "SNIPPET_TIMES": str(times), "OMP_NUM_THREADS": "1"}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                ["bash", str(script)],
                cwd=self.folder,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes], log: Path, sign: Path | None) -> None:
        """Until the sign is there, or, without one, until the page has ended well."""
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            if sign is not None and sign.exists():
                return
            if (code := process.poll()) is not None:
                assert (sign, code) == (None, 0), f"ended with {code}:\n{_tail(log)}"
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.name} took more than {LONGEST_S} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def wait_until_answered(address: str) -> None:
    """Returns when a server that was just started answers."""
    for _ in range(120):
        try:
            requests.get(address, timeout=60)
            return
        except requests.ConnectionError:
            time.sleep(0.5)
    raise AssertionError(f"{address} does not answer")


def boxes_drawn(page: BrowserPage) -> int:
    """How many boxes OHIF draws of the study's report: double-clicked, and once more, as the page tells."""
    certainty = page.get_by_text(CERTAINTY)
    page.get_by_text(REPORT_SERIES).first.wait_for(timeout=WAIT_MS)
    for number in range(20):
        page.get_by_text("MG", exact=True).nth(number % 4).dblclick(timeout=WAIT_MS)
        page.wait_for_timeout(3000)
        page.get_by_text(REPORT_SERIES).first.dblclick(timeout=WAIT_MS)
        for _ in range(60):
            if certainty.count():
                return len(drawn_boxes(page))
            no = page.get_by_role("button", name="No", exact=True)
            if no.count():
                no.first.click(timeout=WAIT_MS)
                break
            page.wait_for_timeout(250)
        page.wait_for_timeout(4000)
        if certainty.count():
            return len(drawn_boxes(page))
    return 0


def accept_all(browser: Browser, address: str, n_images: int = 4) -> None:
    """Reviews every image of the page, as a reader who agrees with each mark."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.wait_for_selector("#list button")
    page.locator("#reader").fill("AB")
    for number in range(1, n_images + 1):
        page.locator("#done").click()
        every = page.locator("dialog[open]").get_by_role("button", name=re.compile("^Accept"))
        reviewed = page.get_by_text(f"{number} of {n_images} reviewed")
        every.or_(reviewed).first.wait_for()
        if every.count():
            every.click()
        reviewed.wait_for()
    page.close()


def not_printed(name: str, printed: str) -> list[str]:
    """Lines shown as output that were not printed; a number is any number, … is anything."""
    bare = _without_numbers(printed)
    blocks = read_page(TUTORIALS / name).blocks
    shown = [
        line
        for before, block in itertools.pairwise(blocks)
        if block.language == "text" and not (block.file or before.not_run)
        for line in block.text.splitlines()
    ]
    return [line for line in shown if not re.search(_pattern(line), bare)]


def _pattern(line: str) -> str:
    parts = _without_numbers(line).split("…")
    return ".*".join(r"\s+".join(map(re.escape, part.split())) for part in parts)


def _without_numbers(text: str) -> str:
    """Each number, with its sign, as 0, and so an interval, given or undefined."""
    text = re.sub(r"\([^()\n]* to [^()\n]*\)|\(–\)", "0", text)
    return re.sub(r"[+−]?\d+(\.\d+)?", "0", text)


def test_results_into_your_pacs(
    tmp_path: Path, free_port: Callable[[], int], chromium: Browser, ohif: Path
) -> None:
    """Pulled, marked, sent back, drawn by OHIF; then the node does the same and stops clean."""
    if reason := why_no_orthanc():
        pytest.skip(reason)
    name = "results-into-your-pacs.md"
    follower = Follower(name, tmp_path, free_port)
    looked: dict[str, int] = {}

    def look_at_ohif(here: Path) -> None:
        folder = here / "pacs-tutorial"
        film = next((folder / "films").glob("*.dcm"))
        study = str(pydicom.dcmread(film, stop_before_pixels=True).StudyInstanceUID)
        address = f"http://127.0.0.1:{follower.port('3000')}"
        wait_until_answered(address)
        page = chromium.new_page(viewport=PICTURE)
        page.add_init_script(f"localStorage.setItem('shownTours', '[\"{TOUR}\"]')")
        page.goto(f"{address}/viewer?StudyInstanceUIDs={study}", timeout=WAIT_MS)
        looked["drawn"] = boxes_drawn(page)
        page.close()
        reports = [read_marks(each)[0] for each in (folder / "results").glob("*_sr.dcm")]
        looked["marks"] = sum(len(each.boxes) for each in reports)
        looked["predicted"] = sum(
            len(each.boxes) for each in read_detections(folder / "detections.json").detections
        )

    def look_at_the_queue(here: Path) -> None:
        log = (here / "pacs-tutorial" / "node.log").read_text()
        looked["patients in the log"] = log.count("PHANTOM")

    followed = follower.follow({"ohif.py": look_at_ohif, "tail -n 2 node.log": look_at_the_queue})
    assert looked["predicted"] == looked["marks"] > 0
    assert looked["drawn"] > 0
    assert looked["patients in the log"] == 0
    assert not_printed(name, followed.printed) == []
    assert not (followed.folder / "pacs-tutorial").exists()


def test_annotate_with_monai_label(tmp_path: Path, free_port: Callable[[], int], chromium: Browser) -> None:
    """Labels are submitted, new weights trained and measured; then a reader works on the review page."""
    if reason := why_no_monai_label():
        pytest.skip(reason)
    name = "annotate-with-monai-label.md"
    follower = Follower(name, tmp_path, free_port)

    def review(_: Path) -> None:
        accept_all(chromium, follower.said(r"open (http://127\.0\.0\.1:\S+)"))

    followed = follower.follow({"mammo-monai review detections.json --port": review})
    folder = followed.folder / "label-tutorial"
    version = folder / "label-app" / "model" / "cbis_mass_detection" / "v0001"
    reader = read_manifest(version / "manifest.json").images()
    assert sum(len(each.boxes) for each in reader) > 0
    assert {each.image.stem[0] for each in reader} == {"1", "2"}
    shipped, ours = (read_detections(folder / each / "detections.json") for each in ("shipped", "ours"))
    assert shipped.model["weights_sha256"] != ours.model["weights_sha256"]
    assert len(list((folder / "detections_review" / "sr").glob("*.dcm"))) == 4
    assert not_printed(name, followed.printed) == []


@pytest.mark.parametrize("line", ["4 images, 2 marks", "4 images, 9 marks of score 0.3"])
def test_shown_output_may_differ_in_its_numbers_alone(line: str) -> None:
    shown = _pattern("7 images, 2 marks…")
    assert re.search(shown, _without_numbers(line))
    assert not re.search(shown, _without_numbers(line.replace("images", "films")))
