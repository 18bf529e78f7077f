"""Scoring one mini-batch: with a batch script, a script for requests, or a no-code model."""

from fairlead_scoring.batch.scoring.scorer import Scored, Scorer, Watch
from fairlead_scoring.batch.scoring.trials import Segment, TooMany

__all__ = ["Scored", "Scorer", "Segment", "TooMany", "Watch"]
