"""Who has signed an image, and whether that is enough to run it."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairlead.errors import BootFailure, Forbidden, UsageError
from fairlead.images.signing import Signature, is_signed_by
from fairlead.images.signing_keys import load_public_key
from fairlead.schemas.images import Image, ImageSignature, NewSignature
from fairlead.server import audit
from fairlead.server.access import Access
from fairlead.server.clock import now
from fairlead.server.faults import FaultPoint
from fairlead.server.images import names, showing
from fairlead.server.tables.images import ImageRow

SIGNED = FaultPoint("images.sign.before-commit", "a signature is written, and not yet committed")
MOST = 100


def key_of(path: str) -> EllipticCurvePublicKey | None:
    """The setting image_key; empty: any image runs. Raises BootFailure."""
    if not path:
        return None
    try:
        return load_public_key(Path(path).read_bytes())
    except (OSError, UsageError) as error:
        raise BootFailure(f"The public key {path} that images must be signed with (--image-key) cannot be used: {error}") from error


def add_signature(session: Session, access: Access, said: str, body: NewSignature) -> Image:
    """Whoever's it is; twice is once. Raises NotFound, UsageError for one that is of another image."""
    row = names.find(session, access, said, lock=True)
    if row.digest is None or not _is_of(body.payload, row.digest):
        raise UsageError(f"The signature is not of this image: its payload does not name the digest sha256:{row.digest}.")
    if len(row.signatures) >= MOST:
        raise UsageError(f"The image has {MOST} signatures, which is as many as it may have.")
    if body.value not in [each["value"] for each in row.signatures]:
        signed = ImageSignature(payload=body.payload, value=body.value, signed_at=now(), signed_by=access.principal)
        row.signatures = [*row.signatures, signed.model_dump(mode="json")]
        row.updated_at, row.etag, row.serial = now(), row.etag + 1, row.serial + 1
        audit.record(session, access, "sign", "image", row.id, f"{row.name}:{row.version}", digest=row.digest)
    SIGNED.reach()
    session.flush()
    return showing.to_wire(row)


def refuse_unsigned(session: Session, row: ImageRow, key: EllipticCurvePublicKey | None) -> None:
    """Raises Forbidden when this server wants a signature that the image does not have, under this name or another of the workspace."""
    if key is None or row.digest is None:
        return
    same = (ImageRow.workspace_id == row.workspace_id, ImageRow.digest == row.digest, ImageRow.deleted_at.is_(None))
    signed = [each for signatures in session.scalars(select(ImageRow.signatures).where(*same)) for each in signatures]
    if any(is_signed_by(Signature(payload=each["payload"].encode(), value=each["value"]), row.digest, key) for each in signed):
        return
    name = f"{row.name}:{row.version}"
    raise Forbidden(
        f"The image {name} is not signed with the key that this server asks for (image_key). "
        f"`fairlead image sign {name} --key KEY`, then deploy it: `fairlead deploy --image {name}`."
    )


def _is_of(payload: str, digest: str) -> bool:
    try:
        return bool(json.loads(payload)["critical"]["image"]["docker-manifest-digest"] == f"sha256:{digest}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
