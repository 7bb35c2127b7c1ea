"""Settings: `base` is shared; choose `development`, `test` or `production`."""
