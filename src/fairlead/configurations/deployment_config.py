"""Deployment configurations: how a model is served. Three kinds in the seeds (`computeType` local, aci, aks) with their documented defaults; every key may also
be given as `--set key=value` and as a flag. What came later overrides: file, then --set, then flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from fairlead.configurations.deployment_keys import BLOCKS, BY_FIELD, BY_NAME, LABELS, Key
from fairlead.configurations.keys import load, mapping, nearest, plain
from fairlead.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    cpu: float | None = None
    memory_gb: float | None = None
    cpu_limit: float | None = None
    memory_gb_limit: float | None = None
    gpu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale:
    enabled: bool = True
    min_replicas: int = 1
    max_replicas: int = 10
    refresh_seconds: int = 1
    target_utilization: int = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    period_seconds: int = 10
    initial_delay_seconds: int = 310
    timeout_seconds: int = 2
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Absolute paths of PEM files."""

    enabled: bool = False
    certificate: str | None = None
    key: str | None = None
    cname: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentConfiguration:
    """None: nobody said, so the runtime's or target's own default holds. compute_type None: no kind was named; keys are required then.

    workers: processes in one replica. num_replicas: as it was said; `replicas` is what to start. set_keys: what was said, as opposed to defaults.
    """

    compute_type: str | None = None
    port: int | None = None
    workers: int | None = None
    auth_enabled: bool = True
    token_auth_enabled: bool = False
    num_replicas: int | None = None
    resources: Resources = field(default_factory=Resources)
    scoring_timeout_ms: int | None = None
    max_concurrent_requests: int | None = None
    max_queue_wait_ms: int | None = None
    autoscale: Autoscale | None = None
    probe: Probe | None = None
    tls: Tls = field(default_factory=Tls)
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    app_insights_enabled: bool = False
    data_collection_enabled: bool = False
    location: str | None = None
    dns_name_label: str | None = None
    vnet_name: str | None = None
    subnet_name: str | None = None
    namespace: str | None = None
    compute_target_name: str | None = None
    blobfuse_enabled: bool | None = None
    cmk_vault_base_url: str | None = None
    cmk_key_name: str | None = None
    cmk_key_version: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    set_keys: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def replicas(self) -> int:
        """What to start with: the number that was said, else the least that the autoscaler may go down to."""
        if self.num_replicas is not None:
            return self.num_replicas
        return self.autoscale.min_replicas if self.autoscale is not None and self.autoscale.enabled else 1

    def without_effect(self, *, contained: bool = False) -> tuple[str, ...]:
        """What was said and a service of this machine does not heed; `contained`: one that runs in containers."""
        keys = ((name, BY_NAME_OF_PATH[name]) for name in self.set_keys if name in BY_NAME_OF_PATH)
        return tuple(name for name, key in keys if not key.local and not (contained and key.contained))

    def notices_of(self, *, contained: bool = False) -> tuple[str, ...]:
        """What a person is told: of reading, and of what was said in vain."""
        idle = self.without_effect(contained=contained)
        where = "a service in containers" if contained else "a service of this machine"
        return (*self.notices, f"No effect on {where}, kept for other targets: {', '.join(idle)}.") if idle else self.notices

    def to_json(self) -> dict[str, Any]:
        """All of it, keys of the service included; from_json() reads it."""
        return {name: value for name, value in asdict(self).items() if name != "notices" and value is not None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Raises UsageError for anything that to_json() would not give."""
        values = {**content, "set_keys": tuple(content.get("set_keys", ()))}
        try:
            for name, block in _BLOCKS.items():
                if values.get(name) is not None:
                    values[name] = block(**values[name])
            made = cls(**values)
        except TypeError as fault:
            raise UsageError(f"This is no deployment configuration: {fault}.") from None
        _check_values(made)
        return made


BY_NAME_OF_PATH = {key.path: key for key in BY_FIELD.values()}
_BLOCKS = {"resources": Resources, "autoscale": Autoscale, "probe": Probe, "tls": Tls}
_KIND_DEFAULTS: Mapping[str | None, Mapping[str, Any]] = {
    None: {},
    "local": {"auth_enabled": False},
    "aci": {"auth_enabled": False, "resources.cpu": 0.1, "resources.memory_gb": 0.5},
    "aks": {
        "resources.cpu": 0.1,
        "resources.memory_gb": 0.5,
        "scoring_timeout_ms": 60000,
        "max_concurrent_requests": 1,
        "max_queue_wait_ms": 500,
    },
}


@dataclass(frozen=True, slots=True)
class _Said:
    value: object
    where: str
    folder: Path


def read_deployment_config(
    path: Path | None = None, *, sets: Sequence[str] = (), flags: Mapping[str, object] | None = None, kind: str | None = None
) -> DeploymentConfiguration:
    """`sets`: `key=value` with dotted keys. `flags`: keywords as in the seeds' SDK; None is not said. `kind`: when the file names none. Raises UsageError."""
    notices: list[str] = []
    said: dict[str, _Said] = {}
    labels: dict[str, dict[str, str]] = {"tags": {}, "properties": {}}
    if path is not None:
        _of_mapping(load(path), str(path), path.resolve().parent, said, labels, notices)
    for each in sets:
        _of_set(each, said, labels)
    for name, value in (flags or {}).items():
        _of_flag(name, value, said, labels)
    if kind is not None and "compute_type" not in said:
        said["compute_type"] = _Said(kind, "computeType", Path.cwd())
    return _made(said, labels, notices)


def _of_mapping(content: Mapping[str, Any], where: str, folder: Path, said: dict[str, _Said], labels: dict[str, dict[str, str]], notices: list[str]) -> None:
    for name, value in content.items():
        if value is None:
            continue
        if plain(name) in LABELS:
            labels[LABELS[plain(name)]] |= _labels(value, name, where)
        elif plain(name) in BLOCKS:
            block = BLOCKS[plain(name)]
            for inner, each in mapping(value, name, where).items():
                _one(f"{block}.{inner}", each, where, folder, said, notices)
        else:
            _one(name, value, where, folder, said, notices)


def _one(name: str, value: object, where: str, folder: Path, said: dict[str, _Said], notices: list[str]) -> None:
    key = BY_NAME.get(plain(name))
    if key is None:
        notices.append(f"{where}: key {name!r} is not known and changes nothing{nearest(name, [each.path for each in BY_FIELD.values()])}.")
    elif value is not None:
        said[key.field] = _Said(value, where, folder)


def _of_set(text: str, said: dict[str, _Said], labels: dict[str, dict[str, str]]) -> None:
    name, equals, value = text.partition("=")
    first, _, rest = name.partition(".")
    if not equals or not name:
        raise UsageError(f"--set {text!r}: write it as key=value, for example --set autoScaler.minReplicas=2.")
    if plain(first) in LABELS and rest:
        labels[LABELS[plain(first)]][rest] = value
        return
    key = BY_NAME.get(plain(name))
    if key is None:
        keys = [each.path for each in BY_FIELD.values()]
        raise UsageError(
            f"--set {name}: there is no such key{nearest(name, keys) or '; there are numReplicas, scoringTimeoutMs and the others of a deploymentconfig.json.'}"
        )
    said[key.field] = _Said(value, f"--set {name}", Path.cwd())


def _of_flag(name: str, value: object, said: dict[str, _Said], labels: dict[str, dict[str, str]]) -> None:
    if value is None:
        return
    if plain(name) in LABELS:
        labels[LABELS[plain(name)]] |= _labels(value, name, name)
        return
    key = BY_NAME.get(plain(name))
    if key is None:
        raise UsageError(f"{name}: there is no such setting{nearest(name, [each.path for each in BY_FIELD.values()])}")
    said[key.field] = _Said(value, name, Path.cwd())


def _labels(value: object, name: str, where: str) -> dict[str, str]:
    return {key: str(each) for key, each in mapping(value, name, where).items()}


def _made(said: dict[str, _Said], labels: Mapping[str, Mapping[str, str]], notices: list[str]) -> DeploymentConfiguration:
    values = {name: _checked(BY_FIELD[name], each) for name, each in said.items()}
    kind = values.get("compute_type")
    _settle_access(values, said)
    _settle_replicas(values, said)
    _settle_tls(values, said)
    whole = {**_KIND_DEFAULTS[kind if isinstance(kind, str) else None], **values}
    flat = {name: value for name, value in whole.items() if "." not in name}
    blocks = {name: block(**_inner(whole, name)) for name, block in _BLOCKS.items() if _has_block(whole, name, kind)}
    set_keys = tuple(sorted(BY_FIELD[name].path for name in said))
    return DeploymentConfiguration(**flat, **blocks, **labels, set_keys=set_keys, notices=tuple(notices))  # type: ignore[arg-type]  # checked by its key


def _inner(whole: Mapping[str, object], block: str) -> dict[str, Any]:
    return {name.partition(".")[2]: value for name, value in whole.items() if name.startswith(f"{block}.")}


def _has_block(whole: Mapping[str, object], block: str, kind: object) -> bool:
    """AKS has an autoscaler unless a number of replicas was said, and a probe."""
    if _inner(whole, block):
        return True
    return kind == "aks" and (block == "probe" or (block == "autoscale" and "num_replicas" not in whole))


def _checked(key: Key, said: _Said) -> object:
    kept = key.check(said.value)
    if kept is None:
        shown = "what was given" if key.field.endswith("_key") else repr(said.value)
        raise UsageError(f"{said.where}: {key.path} is {shown}; it must be {key.allowed}.")
    return kept


def _settle_access(values: dict[str, object], said: Mapping[str, _Said]) -> None:
    """Keys and tokens exclude each other; who asks for tokens means no keys."""
    if values.get("token_auth_enabled") and values.get("auth_enabled"):
        raise UsageError(f"{said['token_auth_enabled'].where}: authEnabled and tokenAuthEnabled are both true; they exclude each other. Set one to false.")
    if values.get("token_auth_enabled"):
        values["auth_enabled"] = False
    given = [name for name in ("primary_key", "secondary_key") if name in values]
    if given and (values.get("auth_enabled") is False):
        raise UsageError(f"{said[given[0]].where}: {BY_FIELD[given[0]].path} is given, and authEnabled is false. Set it to true, or delete the key.")
    if given and "auth_enabled" not in values:
        values["auth_enabled"] = True


def _settle_replicas(values: Mapping[str, object], said: Mapping[str, _Said]) -> None:
    if "num_replicas" in values and values.get("autoscale.enabled") is True:
        raise UsageError(f"{said['num_replicas'].where}: numReplicas is set and autoScaler.autoscaleEnabled is true. Delete one.")
    least, most = values.get("autoscale.min_replicas", 1), values.get("autoscale.max_replicas", 10)
    if isinstance(least, int) and isinstance(most, int) and least > most:
        where = (said.get("autoscale.min_replicas") or said["autoscale.max_replicas"]).where
        raise UsageError(f"{where}: autoScaler.minReplicas is {least} and maxReplicas is {most}. Set maxReplicas to {least} or more.")


def _settle_tls(values: dict[str, object], said: Mapping[str, _Said]) -> None:
    """Paths are relative to the file that says them, or to the working directory. A certificate means TLS unless that is turned off."""
    for name in ("tls.certificate", "tls.key"):
        if name in values:
            path = said[name].folder / str(values[name])
            if not path.is_file():
                raise UsageError(f"{said[name].where}: {BY_FIELD[name].path} is {str(values[name])!r}, and there is no such file. Name a PEM file.")
            values[name] = str(path.resolve())
    there = [name for name in ("tls.certificate", "tls.key") if name in values]
    if len(there) == 1:
        missing = "sslKey" if there[0] == "tls.certificate" else "sslCertificate"
        raise UsageError(f"{said[there[0]].where}: {BY_FIELD[there[0]].path} is set and {missing} is not. Set both.")
    if there:
        values.setdefault("tls.enabled", True)
    elif values.get("tls.enabled"):
        raise UsageError(f"{said['tls.enabled'].where}: sslEnabled is true without sslCertificate and sslKey. Name both PEM files, or --set sslEnabled=false.")


def _check_values(made: DeploymentConfiguration) -> None:
    """The same limits for what came over the wire."""
    for each in fields(made):
        value = getattr(made, each.name)
        inner = {f"{each.name}.{part}": held for part, held in asdict(value).items()} if each.name in _BLOCKS and value is not None else {each.name: value}
        for name, held in inner.items():
            if name in BY_FIELD and held is not None:
                _checked(BY_FIELD[name], _Said(held, "deployment configuration", Path()))
    if made.auth_enabled and made.token_auth_enabled:
        raise UsageError("deployment configuration: authEnabled and tokenAuthEnabled are both true. Set one to false.")
