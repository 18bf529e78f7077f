"""Whether a model was fitted on named columns: its service then takes tables, for which its environment needs pandas. Told by the file's content."""

from __future__ import annotations

import re
from pathlib import Path

from fairlead_scoring.formats import plain_bytes

from fairlead.flavors.contents import head, member

READ = 64 << 20
_XGBOOST = re.compile(rb'feature_names(?:\[#L(?P<count>.{8})|"\s*:\s*\[\s*(?P<first>["\]]))', re.DOTALL)  # UBJSON or JSON
_LIGHTGBM = re.compile(rb"^feature_names=(?P<names>.*)$", re.MULTILINE)


def in_scikit_learn(path: Path) -> bool:
    return b"feature_names_in_" in (member(path, "schema.json") or plain_bytes(path, READ))


def in_xgboost(path: Path) -> bool:
    found = _XGBOOST.search(head(path, 1 << 20))
    if found is None:
        return False
    return int.from_bytes(found["count"], "big") > 0 if found["count"] is not None else found["first"] == b'"'


def in_lightgbm(path: Path) -> bool:
    found = _LIGHTGBM.search(head(path, 1 << 20))
    names = found["names"].split() if found else []
    return names != [b"Column_%d" % index for index in range(len(names))]
