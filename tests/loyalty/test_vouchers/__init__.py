"""Vouchers through the services: issued, used once, undone, passed on, canceled, expired; and what the database keeps."""
