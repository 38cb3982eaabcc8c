"""What Alembic runs for each command: the connection comes from `borne.store.migrate`."""

from alembic import context

from borne.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    on_version_apply=context.config.attributes.get("on_version_apply"),
    # The transaction is already open, on SQLite too: its DDL is transactional once the driver is told to begin.
    transactional_ddl=True,
)

with context.begin_transaction():
    context.run_migrations()
