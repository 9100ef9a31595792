output "state_machine_arns" {
  description = "State machine ARNs by contract name."
  value       = { for name, machine in module.state_machine : name => machine.arn }
}

output "state_machine_alias_arns" {
  description = "Alias ARNs by contract name: start executions with these."
  value       = { for name, machine in module.state_machine : name => machine.alias_arn }
}

output "activity_arns" {
  description = "Activity ARNs by contract name."
  value       = module.activities.arns
}

output "table_names" {
  description = "Table names by contract key."
  value       = module.tables.names
}

output "log_group_names" {
  description = "Log groups of machines and workers."
  value = merge(
    { for name, machine in module.state_machine : "${name}-machine" => machine.log_group_name },
    { for workers in module.workers : "worker" => workers.log_group_name },
  )
}

output "definitions" {
  description = "Rendered definitions by contract name."
  value       = { for name, machine in module.contract.state_machines : name => machine.definition }
}

output "plan_ids" {
  description = "Plans that can be started."
  value       = module.plan_catalogue.plan_ids
}

locals {
  env = {
    AWS_REGION                 = module.contract.region
    TIDEGATE_ACTIVITY_ARNS     = jsonencode(module.activities.arns)
    TIDEGATE_RECONCILE_ARN     = module.state_machine["reconcile"].alias_arn
    TIDEGATE_STATE_MACHINE_ARN = module.state_machine["recovery"].alias_arn
    TIDEGATE_TABLES            = jsonencode(module.tables.names)
    TIDEGATE_TAG_JOBS          = tostring(var.tag_jobs)
  }
}

output "env" {
  description = "Environment of the CLI."
  value       = local.env
}

output "worker_env" {
  description = "Environment of a worker that runs elsewhere: the same, and where it may recover."
  value       = merge(local.env, module.contract.reach)
}

output "env_lines" {
  description = "The same as lines for a shell: eval \"$(terraform output -raw env_lines)\"."
  value       = join("\n", [for name, value in local.env : "export ${name}='${value}'"])
}

output "operator_policy_arns" {
  description = "Managed policies for people by task: start, approve, request, reconcile, read-only."
  value       = module.operator_policies.policy_arns
}

output "worker_policies" {
  description = "What a worker's role must allow, policy documents by name: for a worker that runs elsewhere."
  value       = local.worker_policies
}

output "worker" {
  description = "The worker service: repository, cluster, service, role. Null when workers run elsewhere."
  value = one([for workers in module.workers : {
    repository_url    = workers.repository_url
    cluster_name      = workers.cluster_name
    service_name      = workers.service_name
    task_role_arn     = workers.task_role_arn
    security_group_id = workers.security_group_id
  }])
}

output "topic_arn" {
  description = "SNS topic of all notifications and alarms."
  value       = module.notifications.topic_arn
}

output "dashboard_name" {
  description = "CloudWatch dashboard; null without observability."
  value       = one(module.observability[*].dashboard_name)
}
