"""An archive of four films, until its standard input ends: `archive_process.py FILE` gets its address."""

import sys
from pathlib import Path

from mammo_monai.files import write_text_atomic
from tests.dicom.network.archive_scp import ArchiveScp, image

if __name__ == "__main__":
    held = [image(patient, number) for patient in (1, 2) for number in range(2)]
    with ArchiveScp(held=held) as archive:
        write_text_atomic(Path(sys.argv[1]), str(archive.peer))
        sys.stdin.read()
