"""What a CBIS-DDSM download holds and its tables do not describe: a table that lost rows lost lesions.

Finding: row-missing (quarantined).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.cbis_ddsm.case_tables import CASE_FOLDER, TableKey, table_in_path
from mammo_monai.readers.file_index import FileIndex
from mammo_monai.readers.tables import TableRow
from mammo_monai.records import record_id_of

_PATHS = ("image file path", "cropped image file path", "roi mask file path")
_VIEW = ("patient id", "left or right breast", "image view")
_REMEDY = "Was the table cut off? Download it again."


class Undescribed:
    """Cases, and lesions of them, that no row of the tables names: folders, or PatientIDs of files elsewhere.

    Only those of tables that were read: without the calcification tables, calcifications say nothing.

    Args:
        index: with the listings of the download, and the names it is to know.
        found: the rows of the tables that were read.
    """

    def __init__(self, index: FileIndex, found: Mapping[TableKey, Sequence[TableRow]]) -> None:
        self._index = index
        self._described = {name for rows in found.values() for row in rows for name in _names(row)}
        self._names: dict[str, list[str]] = defaultdict(list)
        for name in sorted(index.cases() - self._described):
            case, table = CASE_FOLDER.fullmatch(name), table_in_path(name)
            if case and table and found.get(table):
                self._names[case[1]].append(name)

    def refuse(self, path: str, where: str) -> None:
        """Refuses an image beside which a lesion lies that no row describes.

        Args:
            path: of the image, as the table has it.

        Raises:
            InvalidRecordError: code `row-missing`.
        """
        case = path.replace("\\", "/").partition("/")[0].lower()
        if names := self._names.get(case):
            found = f"{len(names)} lesions of the image lie in the download and have no row in the table"
            remedy = f"{_REMEDY} Without a row: {', '.join(names)}."
            raise InvalidRecordError("row-missing", where, found, remedy)

    def quarantine(self, salt: str, audit: Audit) -> None:
        """Leaves out, with a row each, the images of which the tables have no row at all."""
        for case in sorted(self._names.keys() - self._described):
            paths = self._index.of_case(case)
            path = paths[0] if len(paths) == 1 else None
            where, found = str(path or self._index.root), "the table has no row for this image"
            with audit.image(record_id_of(case, salt), where, path=path):
                raise InvalidRecordError("row-missing", where, found, f"{_REMEDY} Without a row: {case}.")


def _names(row: TableRow) -> set[str]:
    """The folders a row speaks of, by its paths and by its other columns, in lower case."""
    names = {row.values[column].replace("\\", "/").partition("/")[0].lower() for column in _PATHS}
    view = "_".join(row.values[column].lower() for column in _VIEW)
    table = row.table.name.lower()
    case = f"{table.partition('_')[0]}-{'test' if '_test_' in table else 'training'}_{view}"
    return {*names, case, f"{case}_{row.values['abnormality id'].lower()}"}
