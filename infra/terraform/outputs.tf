output "s3_events_url" {
  description = "What S3_EVENTS_URL must say."
  value       = "s3://${module.storage.bucket}/events"
}

output "kinesis_stream" {
  description = "What KINESIS_STREAM must say."
  value       = module.stream.name
}

output "reader_policy_arn" {
  description = "To be attached to whom the platform runs as: reads bucket and stream, writes nothing."
  value       = module.identity.reader_policy_arn
}

output "producer_policy_arn" {
  description = "To be attached to whom events come from: puts into the stream, reads nothing."
  value       = module.identity.producer_policy_arn
}

output "dead_letters_url" {
  description = "The queue that says which records of the stream the function could not take."
  value       = module.function.dead_letters_url
}

output "http_url" {
  description = "Where signed events are posted to; null without `http`."
  value       = module.function.http_url
}
