"""What goes wrong with files and object stores, as sentences."""

from __future__ import annotations

from fairlead_scoring.errors import RuntimeFault


class PlaceFault(RuntimeFault):
    """A disk or store that does not do what it should, after several tries. Infrastructure: the job can be resumed."""

    cause = "storage-failed"


class Vanished(PlaceFault):
    """A file or folder that is not there."""

    cause = "file-missing"


class Refused(PlaceFault):
    """Another try will not help: no credentials, somebody else's account, an output that belongs to another job, a URL that names nothing we know."""

    cause = "storage-refused"
