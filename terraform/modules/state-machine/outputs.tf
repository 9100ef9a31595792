output "arn" {
  description = "ARN of the state machine."
  value       = aws_sfn_state_machine.this.arn
}

output "alias_arn" {
  description = "ARN of the alias: start executions with this one."
  value       = aws_sfn_alias.this.arn
}

output "version_arn" {
  description = "ARN of the version applied last."
  value       = aws_sfn_state_machine.this.state_machine_version_arn
}

output "role_arn" {
  description = "ARN of the machine's role."
  value       = aws_iam_role.this.arn
}

output "log_group_name" {
  description = "Log group of the execution events."
  value       = aws_cloudwatch_log_group.this.name
}
