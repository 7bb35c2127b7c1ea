"""The organisation in the admin."""

from hotels.admin import access, audit, organisation

__all__ = ["access", "audit", "organisation"]
