"""All that can be set of a node: one JSON file, read once, checked before anything starts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mammo_monai.dicom.network.peers import Peer, TlsFiles
from mammo_monai.dicom.network.reception import ReceptionLimits
from mammo_monai.dicom.results import RESULT_KINDS
from mammo_monai.errors import MammoError
from mammo_monai.schema.json_text import json_value
from mammo_monai.service.node.listening import LOOPBACK, Receiving
from mammo_monai.service.node.strict_json import SettingsError, above_zero, at_least, strict

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Rules:
    """What is wanted; an empty text stands for "not said". None lets everything pass.

    Attributes:
        intents: Presentation Intent Type (0008,0068), else what the SOP class says; "" passes scanned films.
        body_parts: Body Part Examined (0018,0015). institutions: Institution Name (0008,0080).
        study_not_before: YYYY-MM-DD; a study without a date passes.
    """

    modalities: tuple[str, ...] | None = ("MG",)
    intents: tuple[str, ...] | None = ("FOR PRESENTATION", "")
    body_parts: tuple[str, ...] | None = ("BREAST", "")
    institutions: tuple[str, ...] | None = None
    study_not_before: str | None = None

    def __post_init__(self) -> None:
        if self.study_not_before is not None and not _is_day(self.study_not_before):
            raise ValueError(f"study_not_before must be a day, YYYY-MM-DD, got {self.study_not_before!r}.")


@dataclass(frozen=True)
class Marking:
    """The bundle, and when it runs.

    Attributes:
        factory: what makes the marker in the worker process, `module:function`; takes bundle, fppi, weights
            and overrides as `mammo_monai.bundle.load_marker`.
        trust: the bundle runs though it does more than is known; see `mammo-monai bundle inspect`.
        settle_s: a study is marked when nothing new came for so long, or after `settle_at_most_s` anyway.
        tries: after so many crashes or timeouts on one image it is given up.
    """

    bundle: str
    fppi: float | None = None
    weights: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)
    factory: str = "mammo_monai.bundle:load_marker"
    trust: bool = False
    settle_s: float = 30.0
    settle_at_most_s: float = 600.0
    tries: int = 3
    timeout_s: float = 600.0

    def __post_init__(self) -> None:
        at_least(self.settle_s, 0, "settle_s")
        at_least(self.settle_at_most_s, self.settle_s, "settle_at_most_s")
        at_least(self.tries, 1, "tries")
        above_zero(self.timeout_s, "timeout_s")
        if not re.fullmatch(r"[\w.]+:\w+", self.factory):
            raise ValueError(f"factory must be module:function, got {self.factory!r}.")


@dataclass(frozen=True)
class Destination:
    """Where results go: a DICOM node (`peer`, AETITLE@host:port) or a DICOMweb service (`dicomweb`, its URL).

    Attributes:
        commitment: asks for storage commitment and sends again what was not committed; DIMSE only.
    """

    name: str
    peer: str | None = None
    dicomweb: str | None = None
    tls: TlsFiles | None = None
    commitment: bool = False

    def __post_init__(self) -> None:
        if (self.peer is None) == (self.dicomweb is None):
            raise ValueError("a destination has either a peer or a dicomweb address.")
        if self.commitment and self.peer is None:
            raise ValueError("commitment needs a peer: DICOMweb has none.")
        if self.peer is not None:
            Peer.parse(self.peer)
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ValueError(
                f"a destination's name has letters, digits, '.', '_' and '-', got {self.name!r}."
            )


@dataclass(frozen=True)
class Sending:
    """How often a result is sent again.

    Attributes:
        retry_first_s: wait after the first failure; doubles up to `retry_most_s`, with jitter.
        tries: refusals by one destination after which a result is a dead letter there.
        give_up_after_h: so long after it was made, a result that a silent destination never took is one too.
    """

    retry_first_s: float = 10.0
    retry_most_s: float = 600.0
    tries: int = 10
    give_up_after_h: float = 72.0
    commitment_timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        above_zero(self.retry_first_s, "retry_first_s")
        at_least(self.retry_most_s, self.retry_first_s, "retry_most_s")
        at_least(self.tries, 1, "tries")
        above_zero(self.give_up_after_h, "give_up_after_h")
        above_zero(self.commitment_timeout_s, "commitment_timeout_s")


@dataclass(frozen=True)
class Limits:
    """How much is taken, of all and of one peer, which is an address.

    Attributes:
        min_free_mb, max_waiting: with less disk left, or more images waiting, C-STORE is answered "out of
            resources".
        max_instance_mb: an instance that grows beyond is cut off while it comes.
        max_receiving_mb: of all instances under way; they are in memory until they are whole.
        max_associations_per_peer: at once; more are rejected, and senders come again.
        associations_per_minute: per peer; more are rejected, and senders come again.
        requests_per_minute: per peer; beyond it the node reads more slowly and refuses nothing.
    """

    min_free_mb: float = 2000.0
    max_waiting: int = 10000
    max_instance_mb: float = 500.0
    max_receiving_mb: float = 2000.0
    max_associations_per_peer: int = 10
    associations_per_minute: float = 600.0
    requests_per_minute: float = 6000.0

    def __post_init__(self) -> None:
        at_least(self.min_free_mb, 0, "min_free_mb")
        at_least(self.max_waiting, 1, "max_waiting")
        above_zero(self.max_instance_mb, "max_instance_mb")
        at_least(self.max_receiving_mb, self.max_instance_mb, "max_receiving_mb")
        at_least(self.max_associations_per_peer, 1, "max_associations_per_peer")
        at_least(self.associations_per_minute, 1, "associations_per_minute")
        at_least(self.requests_per_minute, 1, "requests_per_minute")


@dataclass(frozen=True)
class Keeping:
    """Hours that images, results and rows stay after their end: sent and ignored, then failed and dead."""

    done_h: float = 24.0
    failed_h: float = 168.0

    def __post_init__(self) -> None:
        at_least(self.done_h, 0, "done_h")
        at_least(self.failed_h, 0, "failed_h")


@dataclass(frozen=True)
class Http:
    """Where /health, /ready and /metrics are served: this machine's loopback only."""

    host: str = "127.0.0.1"
    port: int = 8089

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK:
            raise ValueError(f"host must be one of {', '.join(LOOPBACK)}, got {self.host!r}.")
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be 0 to 65535, got {self.port}.")


@dataclass(frozen=True)
class NodeSettings:
    """The whole file.

    Attributes:
        folder: queue, images and results; relative paths start at the file's folder.
        kinds: results that are made, of `RESULT_KINDS`.
        commitment_peers: AETITLE@host:port of those whose storage commitment requests are reported on a new
            association; others get the report on the one they asked on.
    """

    folder: Path
    marking: Marking
    destinations: tuple[Destination, ...]
    kinds: tuple[str, ...] = ("sr", "gsps")
    receiving: Receiving = field(default_factory=Receiving)
    rules: Rules = field(default_factory=Rules)
    sending: Sending = field(default_factory=Sending)
    limits: Limits = field(default_factory=Limits)
    keeping: Keeping = field(default_factory=Keeping)
    http: Http = field(default_factory=Http)
    commitment_peers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in RESULT_KINDS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds must be some of {', '.join(RESULT_KINDS)}, each once, got {self.kinds}.")
        names = [each.name for each in self.destinations]
        if not names or len(set(names)) < len(names):
            raise ValueError("destinations must be one or more, each with a name of its own.")
        for peer in self.commitment_peers:
            Peer.parse(peer)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but seldom meant."""
        return self.receiving.warnings

    @property
    def reception(self) -> ReceptionLimits:
        """What callers may have of the listening side."""
        receiving, limits = self.receiving, self.limits
        return ReceptionLimits(
            associations=receiving.max_associations,
            associations_per_peer=min(limits.max_associations_per_peer, receiving.max_associations),
            associations_per_minute=limits.associations_per_minute,
            requests_per_minute=limits.requests_per_minute,
            instance_mb=limits.max_instance_mb,
            receiving_mb=limits.max_receiving_mb,
            association_timeout_s=receiving.association_timeout_s,
            network_timeout_s=receiving.network_timeout_s,
        )


def read_settings(path: Path | str) -> NodeSettings:
    """Reads and checks a node's configuration; relative paths in it start at its own folder.

    Raises:
        SettingsError: it is missing, no JSON, or says something that cannot be; the message says where.
    """
    path = Path(path)
    try:
        content = json_value(path.read_bytes(), unique_keys=True)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: expected a node's configuration, found nothing there.") from error
    except ValueError as error:
        raise SettingsError(f"{path}: expected JSON, got something else ({error}).") from error
    try:
        settings = strict(NodeSettings, content, path.name)
    except SettingsError:
        raise
    except MammoError as error:  # an AE title or address that cannot be
        raise SettingsError(f"{path.name}: {error}") from error
    return _below(settings, path.parent.absolute())


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _below(settings: NodeSettings, root: Path) -> NodeSettings:
    """The settings with all relative paths made absolute."""

    def tls(files: TlsFiles | None) -> TlsFiles | None:
        if files is None:
            return None
        given = {name: path for name, path in vars(files).items() if path is not None}
        return TlsFiles(**{name: root / path for name, path in given.items()})

    replace = dataclasses.replace
    weights = settings.marking.weights
    bundle = settings.marking.bundle
    return replace(
        settings,
        folder=root / settings.folder,
        marking=replace(
            settings.marking,
            weights=None if weights is None else root / weights,
            bundle=str(root / bundle) if (root / bundle).is_dir() else bundle,
        ),
        receiving=replace(settings.receiving, tls=tls(settings.receiving.tls)),
        destinations=tuple(replace(each, tls=tls(each.tls)) for each in settings.destinations),
    )
