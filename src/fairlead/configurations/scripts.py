"""Whether a script is Python at all, for the Python that will run it. It is parsed, never run."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

from fairlead.errors import UsageError


def check_syntax(script: Path, python: str | None, where: str, notices: list[str]) -> None:
    """`python`: a minor such as "3.8". Raises UsageError with the line; what only a newer Python than ours can judge becomes a notice."""
    version = (3, int(python.partition(".")[2])) if python else sys.version_info[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is the script's own business
            ast.parse(script.read_bytes(), filename=str(script), feature_version=min(version, sys.version_info[:2]))
    except SyntaxError as fault:
        sentence = f"{where} {script.name}, line {fault.lineno or 1}: {fault.msg} (Python {version[0]}.{version[1]})."
        if version > sys.version_info[:2]:
            notices.append(f"{sentence} Only that Python can tell whether this is right.")
            return
        raise UsageError(f"{sentence} Correct the script.") from None
    except ValueError as fault:
        raise UsageError(f"{where} {script.name} is no Python text: {fault}. Correct the script.") from None
    except RecursionError:
        raise UsageError(f"{where} {script.name} is nested too deeply. Correct the script.") from None
    except OSError as fault:
        raise UsageError(f"{where} {script.name} cannot be read: {fault.strerror}.") from None
