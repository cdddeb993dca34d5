output "name" {
  description = "Its name."
  value       = aws_kinesis_stream.events.name
}

output "arn" {
  description = "For policies and for what is fed by it."
  value       = aws_kinesis_stream.events.arn
}
