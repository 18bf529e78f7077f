"""What a diagnosis is made of: the steps from the server to an answer, what was found at each, and which words of a failure belong to which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fairlead.errors import BootFailure, Forbidden, Unauthenticated, Unavailable
from fairlead.schemas.services import Failure, Stage

NOT_ALLOWED = Forbidden.exit_code
CANNOT_SERVE = BootFailure.exit_code
CANNOT_BE_REACHED = Unavailable.exit_code
assert Unauthenticated.exit_code == NOT_ALLOWED


class Step(StrEnum):
    """In the order in which they are gone through."""

    SERVER = "server"
    SERVICE = "service"
    IMAGE = "image"  # on the target local: bundle and environment
    START = "start"
    IMPORT = "import"
    LOAD = "model load"
    READY = "readiness"
    SAMPLE = "sample answer"
    ADDRESS = "address"
    AUTH = "auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`is_well`: None is a step that could not be looked at, and `said` tells why. `exit_code`: of ADR 1, when it is not well."""

    step: Step
    is_well: bool | None
    said: str
    cause: str = ""
    log_lines: tuple[str, ...] = ()
    cure: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        result = {True: "ok", False: "wrong", None: "unknown"}[self.is_well]
        return {"step": self.step.value, "result": result, "said": self.said, "cause": self.cause, "log_lines": list(self.log_lines), "cure": self.cure}


def well(step: Step, said: str) -> Finding:
    return Finding(step=step, is_well=True, said=said)


def unknown(step: Step, said: str) -> Finding:
    return Finding(step=step, is_well=None, said=said)


def wrong(step: Step, said: str, *, cure: str, exit_code: int = CANNOT_SERVE, cause: str = "", log_lines: tuple[str, ...] = ()) -> Finding:
    return Finding(step=step, is_well=False, said=said, cure=cure, exit_code=exit_code, cause=cause, log_lines=log_lines)


def of_failure(name: str, failure: Failure) -> Finding:
    """At the step that it belongs to, with a cure. Causes are those of `targets.types.CAUSES`, of locking and building; others go by their stage."""
    otherwise = _PACKAGES if failure.stage == Stage.ENVIRONMENT.value else _LOOK
    step, cure = _CAUSES.get(failure.cause, (_STAGES.get(failure.stage, Step.START), otherwise))
    return wrong(step, failure.message, cause=failure.cause, log_lines=tuple(failure.log_lines), cure=cure.format(name=name))


def before(step: Step) -> list[Step]:
    """Steps that must have gone well for this one to fail. An address is had before anything is loaded."""
    passed: list[Step] = [Step.IMAGE] if step is Step.ADDRESS else list(Step)[2:]
    return passed[: passed.index(step)] if step in passed else passed


_LOOK = "Read its log: `fairlead service logs {name} -l 50`. Then correct it, and deploy again."
_UPDATE = "deploy again: `fairlead service update {name} ...` with what you deployed it with."
_PACKAGES = "Do what the message says to the requirements, or to the index; then " + _UPDATE
_MEMORY = "Give it more (`fairlead service update {name} --set containerResourceRequirements.memoryInGB=2`), or a smaller model."
_CAUSES: dict[str, tuple[Step, str]] = {
    "bundle-damaged": (Step.IMAGE, "A file on the server's disk was changed. `fairlead server fsck` says what else was; then " + _UPDATE),
    "bundle-refused": (Step.IMAGE, "Save the model in a format that runs no code (skops, ONNX), or start the server with --unsafe-formats allow."),
    "image-missing": (Step.IMAGE, "The engine has lost the image; deploy it again, which loads it again."),
    "image-unusable": (Step.IMAGE, "Build it for the engine's platform (`fairlead package --platform`), upon a base that has Python, and deploy again."),
    "base-unreachable": (Step.IMAGE, "Name a base that this machine can reach (--base), and " + _UPDATE),
    "image-build": (Step.IMAGE, "Correct the Dockerfile step that the message names, or what it copies, and " + _UPDATE),
    "store-full": (Step.IMAGE, "Make room on the server's machine (`fairlead server gc` frees what nobody needs); then " + _UPDATE),
    "missing-package": (Step.IMAGE, "The environment lacks a package. Correct the requirements and " + _UPDATE),
    "engine-failed": (Step.START, "`fairlead env show` says what is wrong with the engine."),
    "disk-full": (Step.START, "Make room on the server's machine (`fairlead server gc` frees what nobody needs), then `fairlead service reload {name}`."),
    "front-failed": (Step.START, _LOOK),
    "interpreter-missing": (Step.START, "Install that Python again on the server's machine, or ask for another version and " + _UPDATE),
    "options-invalid": (Step.START, "Correct the setting that the message names: `fairlead service update {name} --help` lists them."),
    "out-of-memory": (Step.START, _MEMORY),
    "killed": (Step.START, "If memory ran out (the system's log says so), give it more or take a smaller model; then `fairlead service reload {name}`."),
    "superseded": (Step.START, "Nothing to do: a newer revision took its place."),
    "package-missing": (Step.IMPORT, "Add the package to the requirements (or conda file) and " + _UPDATE),
    "script-error": (Step.IMPORT, "Correct the script; `fairlead serve SCRIPT` tries it here. Then " + _UPDATE),
    "init-raised": (Step.LOAD, "Correct init(), or the model's path in it: Model.get_model_path(NAME) or AZUREML_MODEL_DIR. Then " + _UPDATE),
    "init-stuck": (Step.LOAD, "init() does not come to an end. Look for what it waits for: a download, a lock, an address. Then " + _UPDATE),
    "worker-ended": (Step.LOAD, "Take out what ends the process: exit() in the script, or a library that crashes while it loads the model. Then " + _UPDATE),
    "sample-failed": (Step.SAMPLE, "Correct run(), or the sample, and " + _UPDATE),
    "answer-differs": (Step.SAMPLE, "Which is right? Record the new answer (--expected; of a model --sample-output), or correct the script, and " + _UPDATE),
    "port-taken": (Step.ADDRESS, "End what listens there (`ss -ltnp` shows it), or delete the service and deploy it on another --port."),
}  # fmt: skip
_STAGES = {
    Stage.PACKAGING.value: Step.IMAGE,
    Stage.ENVIRONMENT.value: Step.IMAGE,
    "image": Step.IMAGE,
    Stage.STARTING.value: Step.START,
    Stage.PROVING.value: Step.SAMPLE,
}
