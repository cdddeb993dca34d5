output "name" {
  description = "Its name."
  value       = aws_lambda_function.this.function_name
}

output "dead_letters_url" {
  description = "The queue of what it could not take."
  value       = aws_sqs_queue.dead_letters.url
}

output "http_url" {
  description = "Its address; null without `http`."
  value       = one(aws_lambda_function_url.http[*].function_url)
}
