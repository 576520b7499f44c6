"""The process that marks: a decoder's crash or a model out of memory ends this process, never the node."""

from __future__ import annotations

import importlib
import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread

from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result, model_identity, result_uid
from mammo_monai.errors import DicomError, MammoError
from mammo_monai.processes import begin_worker
from mammo_monai.records import Detections
from mammo_monai.service.node.settings import Marking

STUDY_KINDS = frozenset({"cad"})
"""Results of a study; all others are of an image."""


@dataclass(frozen=True)
class Task:
    """What the process is to do: mark one image and make its results, or make those of a marked study.

    Attributes:
        images: path and record id of each.
        parts: where each kind's file is written.
        detections: of each image, as text, where they are marked already.
    """

    images: tuple[tuple[Path, str], ...]
    parts: Mapping[str, Path]
    detections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """What came of a task.

    Attributes:
        detections: of the image, as text.
        results: kind → SOP Instance UID and SOP Class UID of the file in its part.
    """

    detections: str
    results: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """Why nothing came of a task.

    Attributes:
        is_final: the image is at fault and would be again; else it may have been the circumstances.
        is_disk: the disk is full: no fault of the image.
    """

    reason: str
    is_final: bool = False
    is_disk: bool = False


class WorkerDiedError(Exception):
    """The process ended, or had to be ended, in the middle of a task; the text says how."""


class Worker:
    """The process's handle, for one thread; starts the process when it is needed and not there.

    Raises:
        WorkerDiedError: by `start` and `work`.
        MammoError: the model cannot be loaded.
    """

    def __init__(self, marking: Marking) -> None:
        self.marking = marking
        self.model: Mapping[str, object] = {}
        self._process: Any = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Starts the process and waits until the model is loaded."""
        self.stop()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=mark_for_ever, args=(theirs, self.marking), daemon=True, name="mammo-monai marker"
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        answer = self._answer(None)
        if isinstance(answer, Failed):
            self.stop()
            raise MammoError(answer.reason)
        self.model = answer

    def work(self, task: Task) -> Made | Failed:
        """Does one task."""
        if self._process is None or self._connection is None:
            self.start()
        try:
            self._connection.send(task)  # type: ignore[union-attr]  # started
        except OSError as error:
            self.stop()
            raise WorkerDiedError("the process that marks had ended") from error
        answer: Made | Failed = self._answer(self.marking.timeout_s)
        return answer

    def kill(self) -> None:
        """Ends the process from another thread: the one that waits for it hears that it died."""
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> None:
        """Ends the process at once; a task under way is lost, what it wrote are parts."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answer(self, timeout_s: float | None) -> Any:
        connection = self._connection
        try:
            if connection is not None and connection.poll(timeout_s):
                return connection.recv()
        except (EOFError, OSError) as error:
            code = self._process.join(5) or self._process.exitcode
            self.stop()
            raise WorkerDiedError(f"the process that marks died ({_exit_words(code)})") from error
        self.stop()
        raise WorkerDiedError(f"marking took longer than {timeout_s:g} s")


def mark_for_ever(connection: Connection, marking: Marking) -> None:
    """The process: loads the model, says what it is, then does tasks until the node is gone."""
    begin_worker()
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # a service manager tells all processes; the node ends this one
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote values
    try:
        marker = _marker(marking)
        model = dict(marker.model)
        json.dumps(model)
    except Exception as error:  # whatever a bundle's configuration raises
        connection.send(Failed(_words(error), is_final=True))
        return
    connection.send(model)
    identity = model_identity(model)
    with suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            connection.send(done(task, marker, identity))


def done(task: Task, marker: Callable[..., Detections], model: ModelIdentity) -> Made | Failed:
    """Does a task in this process; no exception leaves it."""
    path = task.images[0][0]
    try:
        found = [detections_of(each) for each in task.detections] or [
            marker(image, record_id=record_id) for image, record_id in task.images
        ]
    except DicomError as error:
        return Failed(_words(error, path), is_final=True)
    except Exception as error:
        return Failed(_words(error, path))
    results = {}
    for kind, part in task.parts.items():
        try:
            results[kind] = _built(kind, task, found, model, part)
        except OSError as error:
            return Failed(f"{kind} could not be written: {error.strerror}", is_disk=True)
        except Exception as error:
            return Failed(f"{kind} could not be made: {_words(error, path)}", is_final=True)
    return Made(detections_text(found[0]), results)


def detections_text(found: Detections) -> str:
    """Detections as JSON, to the last digit."""
    arrays = {"boxes": found.boxes, "scores": found.scores, "labels": found.labels}
    if found.probabilities is not None:
        arrays["probabilities"] = found.probabilities
    content: dict[str, object] = {name: np.asarray(each).tolist() for name, each in arrays.items()}
    checks = {"warnings": list(found.warnings), "typicality": found.typicality}
    return json.dumps({"record_id": found.record_id, "image_score": found.image_score, **checks, **content})


def detections_of(text: str) -> Detections:
    """Detections from their JSON.

    >>> detections_of(detections_text(Detections("a"))).boxes.shape
    (0, 4)
    """
    content = json.loads(text)
    probabilities = content.get("probabilities")
    return Detections(
        record_id=content["record_id"],
        boxes=np.array(content["boxes"], dtype=np.float64).reshape(-1, 4),
        scores=np.array(content["scores"], dtype=np.float64),
        labels=np.array(content["labels"], dtype=np.int64),
        probabilities=None if probabilities is None else np.array(probabilities, dtype=np.float64),
        image_score=content["image_score"],
        warnings=tuple(content.get("warnings", ())),
        typicality=content.get("typicality"),
    )


def _marker(marking: Marking) -> Any:
    module, _, name = marking.factory.partition(":")
    factory = getattr(importlib.import_module(module), name)
    trust = {"is_trusted": True} if marking.trust else {}
    overrides = dict(marking.overrides)
    return factory(marking.bundle, fppi=marking.fppi, weights=marking.weights, overrides=overrides, **trust)


def _built(
    kind: str, task: Task, found: list[Detections], model: ModelIdentity, part: Path
) -> tuple[str, str]:
    """Builds one result and writes it, flushed, to its part."""
    images = [
        MarkedImage(dcmread(path, stop_before_pixels=kind != "sc"), detections)
        for (path, _), detections in zip(task.images, found, strict=True)
    ]
    result = build_result(kind, images, model)
    with part.open("xb") as stream:
        result.save_as(stream, enforce_file_format=True)
        stream.flush()
        os.fsync(stream.fileno())
    return str(result.SOPInstanceUID), str(result.SOPClassUID)


def study_result_uid(kind: str, sop_uids: list[str], model: Mapping[str, object]) -> str:
    """The UID that a study's result will have."""
    return result_uid(kind, sop_uids, model_identity(model))


def _words(error: Exception, path: Path | None = None) -> str:
    """What to say of an error: our own messages in full but for the path, of others only the kind.

    Messages of others may quote what stands in the image's header.
    """
    if not isinstance(error, MammoError):
        return type(error).__name__
    text = str(error)
    return text if path is None else text.replace(str(path), "the image")


def _exit_words(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
