"""Whose rows are in which table, and which columns say so."""

from __future__ import annotations

from sqlalchemy import MetaData, Table

from borne.store.schema import metadata

HOUSE = {"jobs", "mails", "incarnations", "settings", "audit_head"}
# A person belongs to no organisation alone. Rows are one person's by these columns, or those of people whom a bound row names.
PERSONAL = {
    "people": {"id", "email"},
    "logins": {"person_id", "token_hash"},
    "login_steps": {"person_id", "token_hash"},
    "passkeys": {"person_id", "credential_id"},
    "recovery_codes": {"person_id"},
    "password_resets": {"person_id", "token_hash"},
    "identities": {"person_id"},
}
# Columns that name a row which is always of the same organisation. A charger's id is not one where the row has an organisation of
# its own, that of its time.
NAMES = {
    "organisation_id": "organisations",
    "location_id": "locations",
    "batch_id": "batches",
    "access_group_id": "access_groups",
    "provider_id": "identity_providers",
}
PERSON = {"person_id", "actor_id", "answered_by"}
SAME_IDS = {"archived_chargers": "chargers"}  # an archived charger keeps its id


class Tables:
    """What each column of the tenants' tables says about whose a row is."""

    def __init__(self, schema: MetaData) -> None:
        self._kinds: dict[str, dict[str, str]] = {}  # table: column: what it names
        for table in schema.tables.values():
            if table.name not in HOUSE:
                self._kinds[table.name] = self._kinds_of(table)

    @staticmethod
    def _kinds_of(table: Table) -> dict[str, str]:
        kinds = {name: kind for name, kind in NAMES.items() if name in table.c}
        if table.name in PERSONAL:
            kinds.pop("organisation_id", None)  # of a login: the one that was chosen last
        if "charger_id" in table.c and "organisation_id" not in table.c:
            kinds["charger_id"] = "chargers"
        if "id" in table.c:
            kinds["id"] = SAME_IDS.get(table.name, table.name)
        if not ({"organisations", "chargers"} & set(kinds.values()) or table.name in PERSONAL):
            raise LookupError(f"whose rows are in the table {table.name!r}? Say it in tests/support/tenants.py")
        return kinds | {name: "people" for name in PERSON if name in table.c}

    def __contains__(self, table: Table) -> bool:
        return table.name in self._kinds

    def kind(self, table: Table, column: str) -> str | None:
        """What the column names: a table."""
        return self._kinds.get(table.name, {}).get(column)

    def tells(self, table: Table, column: str) -> bool:
        """Whether the column's value says whose the row is."""
        kind = self.kind(table, column)
        return kind is not None and (kind != "people" or table.name in PERSONAL)

    def anchors(self, table: Table, column: str) -> bool:
        """Whether a parameter for this column is enough to say whose the row is."""
        return column in PERSONAL.get(table.name, ()) or self.kind(table, column) == "organisations"


TABLES = Tables(metadata)
