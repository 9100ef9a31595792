output "name" {
  description = "Name of the bus, once its policy is in force."
  value       = aws_cloudwatch_event_bus_policy.this.event_bus_name
}

output "policy" {
  description = "Who may put events, JSON."
  value       = aws_cloudwatch_event_bus_policy.this.policy
}
