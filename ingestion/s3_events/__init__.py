"""Events that lie as Parquet objects below a prefix in S3; see `extract`, `records`, `check`."""
