"""From a data set's own folders and tables to a manifest: the only place that knows a data set's layout."""

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.cbis_ddsm import CbisOptions, read_case_table, read_cbis_ddsm
from mammo_monai.readers.checking import check_manifest
from mammo_monai.readers.coco import CocoOptions, read_coco
from mammo_monai.readers.datasets import (
    READERS,
    FoldChoice,
    ManifestPlan,
    make_manifest,
    needs_attention,
    read_dataset,
    save_audit,
    save_manifest,
)
from mammo_monai.readers.folder import FolderOptions, read_folder
from mammo_monai.readers.inbreast import InbreastOptions, read_inbreast
from mammo_monai.readers.merging import merge_overlapping_lesions
from mammo_monai.readers.reading import DataSet, Progress, PublishedCounts, Reading
from mammo_monai.readers.salt import dataset_salt, salt_beside
from mammo_monai.readers.splits import (
    SplitScheme,
    apply_folds,
    carve_validation,
    check_patient_disjoint,
    fold_scheme,
    make_folds,
    save_folds,
    split_data_set,
    split_records,
)
from mammo_monai.readers.vindr import VindrOptions, read_vindr

__all__ = [
    "READERS",
    "Audit",
    "CbisOptions",
    "CocoOptions",
    "DataSet",
    "FoldChoice",
    "FolderOptions",
    "InbreastOptions",
    "InvalidRecordError",
    "ManifestPlan",
    "Progress",
    "PublishedCounts",
    "Reading",
    "SplitScheme",
    "VindrOptions",
    "apply_folds",
    "carve_validation",
    "check_manifest",
    "check_patient_disjoint",
    "dataset_salt",
    "fold_scheme",
    "make_folds",
    "make_manifest",
    "merge_overlapping_lesions",
    "needs_attention",
    "read_case_table",
    "read_cbis_ddsm",
    "read_coco",
    "read_dataset",
    "read_folder",
    "read_inbreast",
    "read_vindr",
    "salt_beside",
    "save_audit",
    "save_folds",
    "save_manifest",
    "split_data_set",
    "split_records",
]
