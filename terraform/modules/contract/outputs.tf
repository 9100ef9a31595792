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
  description = "Source and detail types of the events the machine puts, and the name of the bus it puts them on."
  value       = { source = local.contract.events.source, detail_types = local.contract.events.detailTypes, bus_name = local.event_bus_name }
}

output "reach" {
  description = "Where the workers get to, as their settings say it: accounts with role and external id, and Regions."
  value = {
    TIDEGATE_REGIONS = join(",", local.recovery_regions)
    TIDEGATE_TARGET_ACCOUNTS = jsonencode({
      for id, target in var.target_accounts : id => merge({ roleArn = target.role_arn }, target.external_id == null ? {} : { externalId = target.external_id })
    })
  }
}

output "recovery_regions" {
  description = "Regions DRS launches in."
  value       = local.recovery_regions
}

output "region" {
  description = "Region of the control plane, after the guards have passed."
  value       = terraform_data.guards.output
}
