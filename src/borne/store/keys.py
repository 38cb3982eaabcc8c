"""Keys outside the database: files in the data folder that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def key_from(folder: Path, name: str) -> bytes:
    """The key of that name, made at the first call. Two processes that start together get the same one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.key"
    made = folder / f".{name}.{secrets.token_hex(4)}"
    if not path.exists():
        made.touch(mode=0o600)
        made.write_bytes(secrets.token_bytes(KEY_BYTES))
        try:
            os.link(made, path)  # atomic, and whole: never over a key that exists
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes()
