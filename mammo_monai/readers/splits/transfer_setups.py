"""P2's seven setups: which manifest is tested in turn, which is added to training, which trains before.

Source: Jung et al., PLoS ONE, 2018, Table 1; A is its public set, B its in-house set. The paper does not say
whether an added set is added whole: here it is, since none of it is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mammo_monai.errors import ManifestError
from mammo_monai.schema.folds import SOURCE_LETTERS, FoldScheme, FoldSchemeName

MAX_SOURCES = 3


@dataclass(frozen=True)
class TransferSetup:
    """What becomes of each manifest, by its letter.

    Attributes:
        tested: folds of these are tested in turn, the others train.
        added: trained on whole, in every fold.
        pretraining: each is a stage of its own before the last one, in this order.
    """

    tested: str
    added: str = ""
    pretraining: str = ""


TRANSFER_SETUPS: Mapping[str, TransferSetup] = MappingProxyType(
    {
        "s1": TransferSetup(tested="A"),
        "s2": TransferSetup(tested="B"),
        "s3": TransferSetup(tested="A", added="B"),
        "s4": TransferSetup(tested="B", added="A"),
        "s5": TransferSetup(tested="AB"),
        "s6": TransferSetup(tested="A", pretraining="B"),
        "s7": TransferSetup(tested="B", pretraining="A"),
    }
)


def fold_scheme(
    name: FoldSchemeName,
    n_folds: int = 5,
    validation_fraction: float | None = None,
    *,
    keeps_test: bool = False,
) -> FoldScheme:
    """A scheme with the paper's validation fraction where none is given: P2's setups 0, else P3's 0.2.

    >>> fold_scheme("s3").validation_fraction
    0.0
    """
    if validation_fraction is None:
        validation_fraction = 0.0 if name in TRANSFER_SETUPS else 0.2
    return FoldScheme(name, n_folds, validation_fraction, keeps_test)


def setup_of(scheme: FoldScheme, n_sources: int) -> TransferSetup:
    """What a scheme does with this many manifests.

    "kfold" and "half" test all of them, each dealt apart. In "s1" to "s7" a third manifest, C, trains first.

    Raises:
        ManifestError: too few or too many manifests.

    >>> setup_of(FoldScheme("s6"), 3)
    TransferSetup(tested='A', added='', pretraining='CB')
    """
    if scheme.name not in TRANSFER_SETUPS:
        if not 1 <= n_sources <= len(SOURCE_LETTERS):
            raise ManifestError(f"expected 1 to {len(SOURCE_LETTERS)} manifests, got {n_sources}.")
        return TransferSetup(tested=SOURCE_LETTERS[:n_sources])
    setup = TRANSFER_SETUPS[scheme.name]
    fewest = 1 if scheme.name == "s1" else 2
    if not fewest <= n_sources <= MAX_SOURCES:
        raise ManifestError(
            f"scheme {scheme.name} takes {fewest} to {MAX_SOURCES} manifests, got {n_sources}: "
            "first A, then B, then C, which trains before them."
        )
    first = "C" if n_sources == MAX_SOURCES else ""
    return TransferSetup(setup.tested, setup.added, first + setup.pretraining)
