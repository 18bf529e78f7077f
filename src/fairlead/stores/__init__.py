"""Blobs by their SHA-256 in a folder or behind a URL; a folder of files is a tree manifest of blobs."""

from fairlead.stores.fetching import fetch
from fairlead.stores.folder import FolderStore
from fairlead.stores.garbage import Swept, marks_of, sweep
from fairlead.stores.opening import open_store
from fairlead.stores.store import PendingUpload, Readable, Store, Stored, StoredBlob, check_store
from fairlead.stores.trees import Tree, TreeFile, lay_down, parse, tree_of
from fairlead.stores.url import UrlStore

__all__ = [
    "FolderStore",
    "PendingUpload",
    "Readable",
    "Store",
    "Stored",
    "StoredBlob",
    "Swept",
    "Tree",
    "TreeFile",
    "UrlStore",
    "check_store",
    "fetch",
    "lay_down",
    "marks_of",
    "open_store",
    "parse",
    "sweep",
    "tree_of",
]
