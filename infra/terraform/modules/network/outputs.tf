output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Its private subnets, by zone."
  value       = [for zone in sort(keys(aws_subnet.private)) : aws_subnet.private[zone].id]
}

output "security_group_id" {
  description = "For what writes to S3 and is reached by nobody."
  value       = aws_security_group.function.id
}
