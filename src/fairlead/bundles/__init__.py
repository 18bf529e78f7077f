"""Makes bundles from files, executing nothing: the same inputs give the same bytes on every machine."""

from fairlead.bundles.making import make
from fairlead.bundles.opening import open_bundle
from fairlead.bundles.recipe import Found, ModelSource, Recipe, parse_model

__all__ = ["Found", "ModelSource", "Recipe", "make", "open_bundle", "parse_model"]
