output "state_machine_arns" {
  description = "State machine ARNs by contract name."
  value       = module.tidegate.state_machine_arns
}

output "state_machine_alias_arns" {
  description = "Alias ARNs by contract name: start executions with these."
  value       = module.tidegate.state_machine_alias_arns
}

output "activity_arns" {
  description = "Activity ARNs by contract name."
  value       = module.tidegate.activity_arns
}

output "table_names" {
  description = "Table names by contract key."
  value       = module.tidegate.table_names
}

output "log_group_names" {
  description = "Log groups of machines and workers."
  value       = module.tidegate.log_group_names
}

output "definitions" {
  description = "Rendered definitions by contract name."
  value       = module.tidegate.definitions
}

output "plan_ids" {
  description = "Plans that can be started."
  value       = module.tidegate.plan_ids
}

output "env" {
  description = "Environment of the CLI."
  value       = module.tidegate.env
}

output "worker_env" {
  description = "Environment of a worker that runs elsewhere: the same, and where it may recover."
  value       = module.tidegate.worker_env
}

output "env_lines" {
  description = "The same as lines for a shell: eval \"$(terraform output -raw env_lines)\"."
  value       = module.tidegate.env_lines
}

output "operator_policy_arns" {
  description = "Managed policies for people by task."
  value       = module.tidegate.operator_policy_arns
}

output "worker_policies" {
  description = "What a worker's role must allow, policy documents by name."
  value       = module.tidegate.worker_policies
}

output "topic_arn" {
  description = "SNS topic of all notifications and alarms."
  value       = module.tidegate.topic_arn
}

output "dashboard_name" {
  description = "CloudWatch dashboard."
  value       = module.tidegate.dashboard_name
}

output "worker" {
  description = "The worker service: repository, cluster, service, role, security group. Null when workers run elsewhere."
  value       = module.tidegate.worker
}
