"""Staff pages: membership, stays and points; vouchers."""
