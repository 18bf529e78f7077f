"""What is kept in SQL. Versions, events and audit rows are only ever added. Import every module here, so that `Record.metadata` is whole."""

from fairlead.server.tables import (
    access,
    blobs,
    compute,
    data,
    environments,
    guards,
    images,
    jobs,
    maintenance,
    registry,
    services,
)
from fairlead.server.tables.record import Record

guards.attach(Record.metadata)

__all__ = [
    "Record",
    "access",
    "blobs",
    "compute",
    "data",
    "environments",
    "images",
    "jobs",
    "maintenance",
    "registry",
    "services",
]
