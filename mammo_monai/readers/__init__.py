"""From a data set's own folders and tables to a manifest: the only place that knows a data set's layout."""

from mammo_monai.readers.audit import Action, Audit, Finding, InvalidRecordError, write_audit
from mammo_monai.readers.cbis_ddsm import CaseRow, read_case_table, read_cbis_ddsm
from mammo_monai.readers.coco import CocoOptions, read_coco
from mammo_monai.readers.datasets import READERS, ListCounts, count_lists, read_dataset, save_manifest
from mammo_monai.readers.inbreast import read_inbreast
from mammo_monai.readers.merging import merge_overlapping_lesions
from mammo_monai.readers.salt import dataset_salt, salt_beside
from mammo_monai.readers.splits import carve_validation, check_patient_disjoint, split_records

__all__ = [
    "READERS",
    "Action",
    "Audit",
    "CaseRow",
    "CocoOptions",
    "Finding",
    "InvalidRecordError",
    "ListCounts",
    "carve_validation",
    "check_patient_disjoint",
    "count_lists",
    "dataset_salt",
    "merge_overlapping_lesions",
    "read_case_table",
    "read_cbis_ddsm",
    "read_coco",
    "read_dataset",
    "read_inbreast",
    "salt_beside",
    "save_manifest",
    "split_records",
    "write_audit",
]
