"""The programme, its members and the ledger in the admin."""

from loyalty.admin import earning, ledger, members, programme, vouchers

__all__ = ["earning", "ledger", "members", "programme", "vouchers"]
