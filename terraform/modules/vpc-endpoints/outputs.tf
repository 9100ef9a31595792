output "security_group_id" {
  description = "Security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
}

output "endpoint_ids" {
  description = "Endpoints by service."
  value       = merge({ for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.id }, { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.id })
}
