"""What data may be on the server's own disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import Forbidden
from fairlead.server.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Ground:
    """roots: folders that data may lie in; None: any but the server's own. is_local: the server of one user, whose profile may be used."""

    data: Path
    state: Path
    roots: tuple[Path, ...] | None
    is_local: bool

    def folder_of(self, workspace_id: str) -> Path:
        """Of the datastore that every workspace has."""
        return self.data / workspace_id

    def check(self, path: str | Path, workspace_id: str) -> None:
        """Raises Forbidden for a path, links followed, that is not for this workspace."""
        place = Path(path).resolve()
        if place.is_relative_to(self.folder_of(workspace_id).resolve()):
            return
        own = (self.data.resolve(), self.state.resolve())
        if any(place.is_relative_to(each) for each in own) or (not self.is_local and any(each.is_relative_to(place) for each in own)):
            raise Forbidden(f"{path} is the server's own; data lies elsewhere.")
        if self.roots is not None and not any(place.is_relative_to(root.resolve()) for root in self.roots):
            named = f"only {', '.join(map(str, self.roots))}" if self.roots else "no folder of its machine"
            raise Forbidden(f"{path} is not for data: this server was told to open {named}. Its owner adds folders with --batch-roots; or upload the files.")


def ground_of(settings: Settings) -> Ground:
    return Ground(data=settings.data, state=settings.state_dir, roots=settings.roots, is_local=settings.local)
