"""Reading what a PDF of ours says."""

from __future__ import annotations

import re
import zlib


def words_of(pdf: bytes) -> str:
    """The texts of its pages, in the order in which they were written."""
    found = [
        zlib.decompress(match[1])
        for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
        if match[1][:1] == b"x"
    ]
    return "\n".join(part.decode("cp1252") for part in found)
