"""Finding guests who are probably one person, over everybody: see `runs` for the doors."""

from members.services.linkage.runs import LinkageRunning, request_linkage, run_linkage

__all__ = ["LinkageRunning", "request_linkage", "run_linkage"]
