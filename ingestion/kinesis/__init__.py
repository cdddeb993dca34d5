"""Events of a Kinesis stream, shard by shard; see `extract`, `records`, `check`."""
