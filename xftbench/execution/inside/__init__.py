"""What runs inside the jail: standard library only, few imports, nothing of the harness."""
