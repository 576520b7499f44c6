"""What engines and inference expect of any network, detector and classifier, whatever its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class NetworkParts:
    """Which parameters are what, as beginnings of their names; see `freezing.apply_freezing`.

    Attributes:
        stem: everything up to stride 4. top: the backbone's last stage. neck: between backbone and heads.
        heads: what answers. classifier: the part of the heads that says what it is.
    """

    stem: tuple[str, ...]
    top: tuple[str, ...]
    neck: tuple[str, ...]
    heads: tuple[str, ...]
    classifier: tuple[str, ...]


class Network(nn.Module):
    """What freezing, checkpoints and weights files ask of a network.

    Attributes:
        architecture: the word under which `architectures.SETTINGS` knows it.
        settings: a frozen dataclass of plain JSON values that says which network it is; saved with its
            weights.
    """

    architecture: ClassVar[str]
    if TYPE_CHECKING:  # torch.jit.script reads annotations
        settings: Any
    __jit_unused_properties__: ClassVar[tuple[str, ...]] = ("frozen_norm", "fresh_norms", "parts")  # no graph

    @property
    def parts(self) -> NetworkParts:
        """What the parameters are."""
        raise NotImplementedError(f"{type(self).__name__} must name its parts.")

    @property
    def frozen_norm(self) -> bool:
        """Whether batch norms that weights came for keep statistics and weights, also after `.train()`."""
        return bool(self.__dict__.get("_frozen_norm", False))

    @frozen_norm.setter
    def frozen_norm(self, frozen: bool) -> None:
        self.__dict__["_frozen_norm"] = frozen
        self.train(self.training)

    @property
    def fresh_norms(self) -> frozenset[str] | None:
        """Names of the batch norms that no weights came for: never frozen. None before any were loaded."""
        found: frozenset[str] | None = self.__dict__.get("_fresh_norms")
        return found

    @fresh_norms.setter
    def fresh_norms(self, names: frozenset[str]) -> None:
        self.__dict__["_fresh_norms"] = names

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of all layers but the frozen batch norms, which stay in evaluation mode."""
        super().train(mode)
        fresh = self.fresh_norms or ()
        for name, layer in self.named_modules():
            is_frozen = self.frozen_norm and name not in fresh
            if isinstance(layer, nn.BatchNorm2d) and (is_frozen or not layer.weight.requires_grad):
                layer.eval()
        return self


@runtime_checkable
class Detector(Protocol):
    """A module that answers with losses in training mode and with detections in evaluation mode.

    Images: a list of float tensors (1, H, W) in [0, 1]; their sizes may differ, the detector pads them.
    Targets: one dict per image, `box` (N, 4) float in MONAI axis order (row_min, col_min, row_max, col_max),
    pixels of that image, half-open; `label` (N,) int64, 0 = mass. N = 0 marks a normal image.

    After `.train()` a call returns its losses, scalars by name; the training minimises their sum.
    After `.eval()` it returns one dict per image, highest score first: `box` (N, 4) clipped to the image,
    `label` (N,) int64, `label_scores` (N,) float32 in [0, 1].

    Only `network` holds parameters: save, freeze and optimise that.
    """

    training: bool
    # From Python 3.12 on isinstance() of a protocol does not see the submodules of a module.
    if TYPE_CHECKING:
        network: nn.Module

    def __call__(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses or detections, by mode."""
        ...

    def train(self, mode: bool = True) -> Detector:
        """Sets training mode and returns itself."""
        ...

    def eval(self) -> Detector:
        """Sets evaluation mode and returns itself."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A module that answers with losses in training mode and with class probabilities in evaluation mode.

    Images: a list of float tensors (1, H, W) in [0, 1], all of one size where the network asks for that.
    Targets: one dict per image, `class_index` int64 scalar, 0 = nothing suspicious.

    After `.train()` a call returns its losses, scalars by name; the training minimises their sum.
    After `.eval()` it returns one dict per image: `probabilities` (K,) float32, of sum 1, K >= 2 classes.

    Only `network` holds parameters: save, freeze and optimise that.
    """

    training: bool
    if TYPE_CHECKING:  # as above
        network: nn.Module

    def __call__(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses or probabilities, by mode."""
        ...

    def train(self, mode: bool = True) -> Classifier:
        """Sets training mode and returns itself."""
        ...

    def eval(self) -> Classifier:
        """Sets evaluation mode and returns itself."""
        ...
