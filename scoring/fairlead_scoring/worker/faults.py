"""What is wrong with a script, in one sentence, with the last frames of the user's own code."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any, List, Optional

from fairlead_scoring.errors import BootFault

OURS = "fairlead_scoring"
# import name → distribution, where they differ
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "fitz": "pymupdf",
    "inference_schema": "inference-schema[numpy-support,pandas-support]", "OpenSSL": "pyopenssl", "PIL": "pillow", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "yaml": "pyyaml", "xgboost": "xgboost", "lightgbm": "lightgbm", "onnxruntime": "onnxruntime", "torch": "torch",
    "google.protobuf": "protobuf", "azure.identity": "azure-identity", "azure.storage": "azure-storage-blob", "Crypto": "pycryptodome",
}  # fmt: skip


class ScriptFault(BootFault):
    """The script cannot serve. `frames`: traceback text of the user's code, "" when there is none."""

    def __init__(self, message: str, error: Optional[BaseException] = None) -> None:
        super().__init__(message)
        self.frames = user_frames(error) if error is not None else ""


def user_frames(error: BaseException) -> str:
    """The traceback from the first frame that is not Fairlead's, with the exceptions that led to it."""
    lines: List[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and not isinstance(cause, ScriptFault):
        lines += [user_frames(cause), "\nThe above led to:\n\n"]
    frames = _after_ours(error.__traceback__)
    if frames is not None:
        lines.append("Traceback (most recent call last):\n")
        lines += traceback.format_tb(frames)
    lines += traceback.format_exception_only(type(error), error)
    return "".join(lines)


def _after_ours(frames: Optional[TracebackType]) -> Optional[TracebackType]:
    while frames is not None and _is_ours(frames.tb_frame.f_globals, frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_ours(module: Any, file: str) -> bool:
    name = str(module.get("__name__", ""))
    return name == OURS or name.startswith((OURS + ".", "importlib")) or file.startswith("<frozen importlib")


def while_loading(script: str, error: BaseException) -> ScriptFault:
    """The script raised while it was imported."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return ScriptFault(missing_package(f"The script {script}", error.name), error)
    if isinstance(error, SyntaxError):
        where = f"{error.filename or script}, line {error.lineno}"
        return ScriptFault(f"The script cannot be read: {error.msg} ({where}). Correct it and start again.", error)
    return ScriptFault(f"The script {script} could not be loaded: {_say(error)}.", error)


def while_initialising(script: str, error: BaseException) -> ScriptFault:
    """init() raised, or asked the process to end."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return ScriptFault(missing_package(f"init() of {script}", error.name), error)
    if isinstance(error, SystemExit):
        return ScriptFault(f"init() of {script} called sys.exit({error.code!r}); raise an exception that says what is wrong.", error)
    return ScriptFault(f"init() of {script} raised {_say(error)}.", error)


def missing_package(who: str, module: str) -> str:
    top = module.split(".", maxsplit=1)[0]
    package = DISTRIBUTIONS.get(module) or DISTRIBUTIONS.get(top) or top.replace("_", "-")
    return f"{who} needs the module '{module}', which {sys.executable} does not have. Install it: {sys.executable} -m pip install '{package}'"


def _say(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
