"""`fairlead.server` whose batch jobs are driven by a fake: rules are broken here, and nothing is scored."""

from __future__ import annotations

import runpy
from pathlib import Path

from fairlead.server.jobs import driver, requirements

FAKE = Path(__file__).parents[2] / "fairlead" / "server" / "jobs" / "fake_driver.py"
WITH_FAKE_DRIVER = (__file__,)

if __name__ == "__main__":
    driver.RUNTIME = FAKE
    requirements.needed = lambda *_: ()  # nothing is installed
    runpy.run_module("fairlead.server", run_name="__main__", alter_sys=True)
