"""Fuzz targets: contours of OsiriX as property lists, and boxes in Pascal VOC."""

from __future__ import annotations

import plistlib

from mammo_monai.readers.annotations.voc import read_voc
from mammo_monai.readers.inbreast.osirix import read_regions
from tests.fuzz.harness import Target
from tests.fuzz.targets.annotation_image import HEIGHT, WIDTH, reads_lesions

_LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]>"
)
_WORDS = (
    *(
        b"<!DOCTYPE x>",
        _LAUGHS,
        b"&a11;",
        b'<!ENTITY x SYSTEM "file:///etc/passwd">',
        b"&x;",
        b"&#0;",
        b"]]>",
    ),
    *(b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>', b"<![CDATA[", b"<?xml?>", b"<!--"),
    *(b"<a>" * 3000, b"</a>", b"<dict>" * 2000, b"<array>" * 2000, b"<real>1e999</real>", b"&#xD800;"),
    *(b"<integer>" + b"9" * 6000 + b"</integer>", b"<integer>0x", b"<date>", b"<data>!</data>", b"<key>"),
    *(b"<string>", b"\xef\xbb\xbf", b"\xff\xfe", b'encoding="utf-16"', b'encoding="idna"', b'encoding="hex"'),
    *(b'encoding="UTF-7"', b"(nan, 1)", b"(1e308, -1e308)", b"bplist00", b"\0"),
)


def _contours() -> list[bytes]:
    region = {"Name": "Mass", "Point_px": ["(10.5, 20.25)", "(30.0, 18.0)", "(28.0, 44.5)"], "Area": 1.5}
    content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": 1, "ROIs": [region]}]}
    return [
        plistlib.dumps(content),
        plistlib.dumps({"Images": []}),
        plistlib.dumps(content, fmt=plistlib.FMT_BINARY),
    ]


def _voc() -> list[bytes]:
    box = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>31</xmax><ymax>45</ymax></bndbox>"
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
    text = f"<annotation><filename>image.png</filename>{size}<object><name>mass</name>{box}</object>"
    text += "</annotation>"
    return [text.encode(), text.encode("utf-16"), b"<annotation/>"]


TARGETS = (
    Target("osirix_regions", ".xml", read_regions, _contours, dictionary=(*_WORDS, b"Point_px", b"ROIs")),
    Target("pascal_voc", ".xml", reads_lesions(read_voc), _voc, dictionary=(*_WORDS, b"<xmin>", b"object")),
)
