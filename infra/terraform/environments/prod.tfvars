# One's own events: a week for a reader to be away, deleted objects come back for three months, a full bucket stays.
environment     = "prod"
zones           = 2
retention_hours = 168
noncurrent_days = 90
log_days        = 90
http            = true
