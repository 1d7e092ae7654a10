"""What Alembic runs: the steps, on the connection that it was handed."""

from alembic import context

from telephony.records.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table="voxline_schema"
)
with context.begin_transaction():
    context.run_migrations()
