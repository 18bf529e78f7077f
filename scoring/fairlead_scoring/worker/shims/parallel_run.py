"""azureml_user.parallel_run: the logger and folder of a batch script."""

from __future__ import annotations

import logging
import os


class EntryScript:
    def __init__(self) -> None:
        self.logger = logging.getLogger("EntryScript")

    @property
    def working_dir(self) -> str:
        return os.getcwd()

    @property
    def log_dir(self) -> str:
        return os.path.join(os.getcwd(), "logs")

    @property
    def output_dir(self) -> str:
        return os.environ.get("AZUREML_BI_OUTPUT_PATH", os.getcwd())
