# To try things out: cheap, and gone with `destroy`.
environment     = "dev"
zones           = 1
shards          = 1
retention_hours = 24
noncurrent_days = 7
log_days        = 7
force_destroy   = true
