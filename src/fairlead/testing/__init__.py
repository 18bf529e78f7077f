"""Public fakes for tests of code that uses Fairlead; each passes the contract suite of what it stands in for."""

from fairlead.testing.stores import MemoryStore
from fairlead.testing.targets import FakeTarget

__all__ = ["FakeTarget", "MemoryStore"]
