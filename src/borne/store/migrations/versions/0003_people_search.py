"""People of an organisation can be searched and are listed by name.

What `borne.store.people` keeps in `memberships.search` from now on, for the memberships that are there already.
"""

from __future__ import annotations

import re
import unicodedata

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME_END = "\x1f"


def upgrade() -> None:
    """Fill the column."""
    connection = op.get_bind()
    known = "SELECT m.person_id, p.name, p.email FROM memberships m JOIN people p ON p.id = m.person_id"
    found = {row[0]: _search_text(row[1], row[2]) for row in connection.execute(text(known))}
    if found:
        change = text("UPDATE memberships SET search = :search WHERE person_id = :person_id")
        connection.execute(change, [{"person_id": one, "search": words} for one, words in found.items()])


def _fold(words: str) -> str:
    decomposed = unicodedata.normalize("NFKD", words.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char) and char != NAME_END)


def _search_text(name: str, email: str) -> str:
    key = re.sub(r"[0-9]+", _number_key, _fold(name))
    return key + NAME_END + _fold(f"{name} {email}")


def _number_key(found: re.Match[str]) -> str:
    digits = found[0].lstrip("0") or "0"
    return f"{min(len(digits), 9)}{digits}"
