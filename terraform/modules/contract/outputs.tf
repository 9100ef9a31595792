output "activities" {
  description = "Activities by contract name: name, arn, placeholder, timeout_seconds, heartbeat_seconds."
  value       = local.activities
}

output "tables" {
  description = "Tables by contract key: name, arn, keys, indexes, TTL attribute."
  value       = local.tables
}

output "state_machines" {
  description = "State machines by contract name: name, arn, role_name, log_group_name, rendered definition."
  value       = local.state_machines
}

output "policies" {
  description = "Policy documents (JSON) by the name of their template."
  value       = local.policies
}

output "worker" {
  description = "Names of what a worker service consists of, and the policies of its task role."
  value       = merge(local.worker, { policy_names = local.worker_policies })
}

output "events" {
  description = "Source and detail types of the events the machine puts."
  value       = { source = local.contract.events.source, detail_types = local.contract.events.detailTypes }
}

output "recovery_regions" {
  description = "Regions DRS launches in."
  value       = local.recovery_regions
}

output "region" {
  description = "Region of the control plane, after the guards have passed."
  value       = terraform_data.guards.output
}
