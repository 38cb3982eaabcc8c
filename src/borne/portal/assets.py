"""Static files: read once at start, served from memory under an address that carries the hash of them all.

One hash for the whole tree lets modules import their neighbours by relative address and still be kept for a year. The
sprite of icons is made here from the files in `static/icons`, one symbol each.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from functools import cache
from pathlib import Path

import msgspec

STATIC_FOLDER = Path(__file__).parent / "static"
SPRITE = "icons.svg"
GZIP_FROM_BYTES = 1_000
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
SERVED = {*TYPES, ".png", ".ico", ".woff2"}


class Asset(msgspec.Struct, frozen=True):
    body: bytes
    gzipped: bytes | None
    media_type: str


class Assets:
    """All static files by path below `static/`, and their common hash."""

    def __init__(self, folder: Path = STATIC_FOLDER) -> None:
        self._assets = {path: _asset(path, body) for path, body in _read(folder).items()}
        digest = hashlib.sha256()
        for path in sorted(self._assets):
            digest.update(path.encode() + b"\0" + self._assets[path].body + b"\0")
        self.hash = digest.hexdigest()[:16]

    def get(self, path: str) -> Asset | None:
        return self._assets.get(path)

    def address(self, path: str) -> str:
        """The address of a file. An unknown one is a mistake in a template: KeyError."""
        if path not in self._assets:
            raise KeyError(f"no static file {path}")
        return f"/static/{self.hash}/{path}"


@cache
def bundled() -> Assets:
    """Those that come with Borne: read once in a process."""
    return Assets()


def _read(folder: Path) -> dict[str, bytes]:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in SERVED and path.parent.name != "icons"
    }
    files[SPRITE] = _sprite(folder / "icons")
    return files


def _asset(path: str, body: bytes) -> Asset:
    suffix = Path(path).suffix
    media_type = TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    worth_it = suffix in TYPES and len(body) >= GZIP_FROM_BYTES
    return Asset(body, gzip.compress(body, 9, mtime=0) if worth_it else None, media_type)


def icon_names(folder: Path = STATIC_FOLDER / "icons") -> list[str]:
    return sorted(path.stem for path in folder.glob("*.svg"))


def _sprite(folder: Path) -> bytes:
    symbols = []
    for name in icon_names(folder):
        source = (folder / f"{name}.svg").read_text(encoding="utf-8")
        inner = re.search(r"<svg\b[^>]*>(.*)</svg>", source, re.DOTALL)
        assert inner is not None, name
        shape = re.sub(r"\s+", " ", inner[1]).strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
            f' stroke-linecap="round" stroke-linejoin="round">{shape}</symbol>'
        )
    return ('<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>").encode()
