"""The organisation: brands, properties, staff, roles, audit trail."""
