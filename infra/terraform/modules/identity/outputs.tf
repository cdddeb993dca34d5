output "function_role_arn" {
  description = "What the function runs as; given once its policy is in place."
  value       = aws_iam_role.function.arn
  depends_on  = [aws_iam_role_policy.function]
}

output "reader_policy_arn" {
  description = "For whom the platform runs as."
  value       = aws_iam_policy.reader.arn
}

output "producer_policy_arn" {
  description = "For whom events come from."
  value       = aws_iam_policy.producer.arn
}
