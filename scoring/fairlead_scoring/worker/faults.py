"""What is wrong with a script, in one sentence, with the last frames of the user's own code."""

from __future__ import annotations

import os
import re
import sys
import traceback
from types import TracebackType
from typing import Any, List, Optional

from fairlead_scoring.errors import BootFault, cause_of

OURS = "fairlead_scoring"
MODEL_DIR = "AZUREML_MODEL_DIR"
MOST_CAUSES = 10
MISSING = "package-missing"
IN_IMAGES = "/opt/fairlead/env"
LOCKED = "fairlead.json"  # in environments that Fairlead built of locked packages: there nothing is installed by hand
GUARD = "`if __name__ == '__main__':`"
# import name → distribution, where they differ
DISTRIBUTIONS = {
    "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "fitz": "pymupdf",
    "inference_schema": "inference-schema[numpy-support,pandas-support]", "OpenSSL": "pyopenssl", "PIL": "pillow", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "yaml": "pyyaml", "xgboost": "xgboost", "lightgbm": "lightgbm", "onnxruntime": "onnxruntime", "torch": "torch",
    "google.protobuf": "protobuf", "azure.identity": "azure-identity", "azure.storage": "azure-storage-blob",
    "azureml": "azureml-core", "azureml.automl": "azureml-automl-runtime", "azureml.train": "azureml-train-automl-runtime",
    "azure.keyvault.secrets": "azure-keyvault-secrets", "azure.ai.contentsafety": "azure-ai-contentsafety", "Crypto": "pycryptodome",
}  # fmt: skip


class ScriptFault(BootFault):
    """The script cannot serve. `frames`: traceback text of the user's code, "" when there is none."""

    cause = "script-error"

    def __init__(self, message: str, error: Optional[BaseException] = None, *, cause: str = "") -> None:
        super().__init__(message, cause=cause)
        self.frames = user_frames(error) if error is not None else ""


def user_frames(error: BaseException) -> str:
    """The traceback from the first frame that is not Fairlead's, with the exceptions that led to it."""
    return "\nThe above led to:\n\n".join(map(_frames_of_one, reversed(_chain(error))))


def _chain(error: BaseException) -> List[BaseException]:
    """The exception and what it came from, the last first. `raise e from e` is written by people and ends here, too."""
    found: List[BaseException] = []
    one: Optional[BaseException] = error
    while one is not None and not isinstance(one, ScriptFault) and all(one is not other for other in found) and len(found) < MOST_CAUSES:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def _frames_of_one(error: BaseException) -> str:
    lines: List[str] = []
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
        return ScriptFault(_missing_module(f"The script {script}", error), error, cause=MISSING)
    if isinstance(error, SystemExit):
        return ScriptFault(f"The script {script} called sys.exit({error.code!r}) while it was loaded; put what is not for serving under {GUARD}.", error)
    if isinstance(error, SyntaxError):
        where = f"{error.filename or script}, line {error.lineno}"
        return ScriptFault(f"The script cannot be read: {error.msg} ({where}). Correct it and start again.", error)
    return ScriptFault(f"The script {script} could not be loaded: {_say(error)}.{_without_java(error)}", error, cause=cause_of(error))


def while_initialising(script: str, error: BaseException) -> ScriptFault:
    """init() raised, or asked the process to end."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return ScriptFault(_missing_module(f"init() of {script}", error), error, cause=MISSING)
    if isinstance(error, SystemExit):
        said = f"init() of {script} called sys.exit({error.code!r}); raise an exception that says what is wrong."
        return ScriptFault(said, error, cause="init-raised")
    advice = _without_model_dir(error) + _without_java(error)
    return ScriptFault(f"init() of {script} raised {_say(error)}.{advice}", error, cause=cause_of(error, "init-raised"))


def _without_model_dir(error: BaseException) -> str:
    """os.getenv() gives None, and what joins it to a path says nothing of the variable."""
    if MODEL_DIR in os.environ or MODEL_DIR not in user_frames(error):
        return ""
    return f" {MODEL_DIR} is not set; name the model's folder with --model-dir."


def _without_java(error: BaseException) -> str:
    """pyspark says that a gateway's port is missing."""
    home = os.environ.get("JAVA_HOME", "")
    folders = [os.path.join(home, "bin")] if home else os.environ.get("PATH", "").split(os.pathsep)
    if "JAVA_GATEWAY_EXITED" not in _say(error) or any(os.access(os.path.join(folder, "java"), os.X_OK) for folder in folders):
        return ""
    where = f"JAVA_HOME is {home}, where no bin/java is" if home else "no java is on the PATH, and JAVA_HOME is not set"
    return f" Spark needs Java 17, and {where}. Install it (Debian: openjdk-17-jre-headless), or set JAVA_HOME."


def _missing_module(who: str, error: ModuleNotFoundError) -> str:
    top = str(error.name).split(".", maxsplit=1)[0]
    if error.name != top and getattr(sys.modules.get(top), "__file__", None):  # a namespace, such as azure, is no package of its own
        where = f"The installed {top} {getattr(sys.modules[top], '__version__', '')}".rstrip()
        return f"{who} needs the module '{error.name}'. {where} does not have it; install the version that the script or its model was made with."
    return missing_package(who, _name_in_source(error, top))


def _name_in_source(error: ModuleNotFoundError, name: str) -> str:
    """`from azure.identity import X` says only 'azure'; the line in the script says which of azure's packages."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    found = re.search(rf"\b{re.escape(name)}(?:\.\w+)+", last[0].line or "") if last else None
    return found.group() if found else name


def missing_package(who: str, module: str) -> str:
    top = module.split(".", maxsplit=1)[0]
    parts = module.split(".")
    known = (DISTRIBUTIONS.get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    package = next(filter(None, known), top.replace("_", "-"))
    if sys.prefix == IN_IMAGES or os.path.isfile(os.path.join(sys.prefix, LOCKED)):
        return f"{who} needs the module '{module}', which its environment does not have. Add '{package}' to its requirements, and deploy again."
    return f"{who} needs the module '{module}', which {sys.executable} does not have. Install it: {sys.executable} -m pip install '{package}'"


def _say(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001  (an exception whose own __str__ fails is still to be reported)
        text = ""
    first, more = (text.split("\n", 1)[0], " …") if "\n" in text else (text, "")
    return f"{type(error).__name__}: {first.rstrip('.')}{more}" if text else type(error).__name__
