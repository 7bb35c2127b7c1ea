"""The programme, its members and the ledger in the admin."""

from loyalty.admin import earning, jobs, ledger, members, programme

__all__ = ["earning", "jobs", "ledger", "members", "programme"]
