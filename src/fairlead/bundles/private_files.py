"""Files that look like somebody's keys: a bundle is copied to many places, so they stay out unless asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from fairlead.errors import UsageError

LOOKS = (
    ".env", ".env.*", "id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "*.pem", "*.key", "*.pfx", "*.p12", "*.jks", "*.ppk",
    "*.kdbx", ".netrc", "_netrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials", ".dockercfg", "kubeconfig", "credentials.json",
)  # fmt: skip
FOLDERS = (".aws", ".azure", ".kube", ".ssh", ".gnupg")
HARMLESS = (".example", ".sample", ".template", ".dist")


def refuse_private(paths: Sequence[str], allow: Sequence[str]) -> None:
    """Raises UsageError that names the first such file; `allow` holds patterns of names or paths that may ship."""
    for path in paths:
        allowed = any(fnmatchcase(path, pattern) or fnmatchcase(PurePosixPath(path).name, pattern) for pattern in allow)
        if looks_private(path) and not allowed:
            name = PurePosixPath(path).name
            raise UsageError(f"{path} looks like a key or a password file. Leave it out, list it in .amlignore, or ship it on purpose with --allow {name}.")


def looks_private(path: str) -> bool:
    """Whether its name, or a folder it lies in, is one that keys usually have."""
    parts = PurePosixPath(path.lower()).parts
    if any(part in FOLDERS for part in parts[:-1]):
        return True
    return not parts[-1].endswith(HARMLESS) and any(fnmatchcase(parts[-1], look) for look in LOOKS)
