output "bucket" {
  description = "Its name."
  value       = aws_s3_bucket.events.id
}

output "bucket_arn" {
  description = "For policies."
  value       = aws_s3_bucket.events.arn
}
