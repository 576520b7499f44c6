"""Who is trained on and who is tested: splits of a data set, folds of one or more; always by patient."""

from mammo_monai.readers.splits.fold_checks import check_folds, reject_overwriting
from mammo_monai.readers.splits.fold_counts import fold_table
from mammo_monai.readers.splits.folds import make_folds, save_folds
from mammo_monai.readers.splits.folds_applied import apply_folds
from mammo_monai.readers.splits.schemes import (
    DEFAULT_VALIDATION_FRACTION,
    SPLIT_NAMES,
    SplitScheme,
    carve_validation,
    check_patient_disjoint,
    split_data_set,
    split_records,
)
from mammo_monai.readers.splits.transfer_setups import fold_scheme

__all__ = [
    "DEFAULT_VALIDATION_FRACTION",
    "SPLIT_NAMES",
    "SplitScheme",
    "apply_folds",
    "carve_validation",
    "check_folds",
    "check_patient_disjoint",
    "fold_scheme",
    "fold_table",
    "make_folds",
    "reject_overwriting",
    "save_folds",
    "split_data_set",
    "split_records",
]
