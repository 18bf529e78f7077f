"""Azure ML's modules for scripts whose environment lacks them: what a scoring script uses works, the rest says what to do instead."""

from __future__ import annotations

from fairlead_scoring.worker.shims.finder import install

__all__ = ["install"]
