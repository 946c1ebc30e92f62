"""Where the instances of a session are kept: the newest main one in the session's own row, the others each in one of its own."""

from __future__ import annotations

from collections.abc import Iterable

from botlight.model.session import Instance
from botlight.service.ports import Write

__all__ = ["rearranged"]


def rearranged(writes: Iterable[Write]) -> tuple[list[tuple[str, Instance]], list[tuple[str, str]]]:
    """What changes among the rows of instances, each with its session's id.

    First the instances to be written, then the ids of those to be removed, because they became the newest main one.
    """
    kept: list[tuple[str, Instance]] = []
    lifted: list[tuple[str, str]] = []
    for write in writes:
        session, before = write.after.session, write.before
        known = before.instances if before else {}
        formerly = before.session.instance_id if before else None
        main = session.instance_id
        if main is not None and main != formerly and main in known:
            lifted.append((session.id, main))
        kept += [
            (session.id, instance)
            for id_, instance in write.after.instances.items()
            if id_ != main and (id_ == formerly or instance is not known.get(id_))
        ]
    return kept, lifted
