"""Reads CBIS-DDSM in any of its downloads: case tables, films, ROI masks told from crops by content."""

from mammo_monai.readers.cbis_ddsm.case_tables import CaseRow, read_case_table
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm

__all__ = ["CaseRow", "CbisOptions", "read_case_table", "read_cbis_ddsm"]
