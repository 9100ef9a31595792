# The policy documents, one per process and intent, from the templates in policies/ (their README says why each is as it is).

locals {
  policy_values = {
    partition        = var.partition
    region           = var.region
    account_id       = var.account_id
    name_prefix      = var.name_prefix
    activity_arns    = [for activity in local.activities : activity.arn]
    tables           = { for key, table in local.tables : key => table.arn }
    machine_names    = { for name, machine in local.state_machine_arns : name => machine.name }
    event_bus_arn    = "arn:${var.partition}:events:${var.region}:${var.account_id}:event-bus/${local.event_bus_name}"
    event_source     = local.contract.events.source
    worker_log_group = "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:${local.worker.log_group_name}"
    repository_arns  = distinct(compact([local.worker.repository_arn, var.image_repository_arn]))
    target_role_arns = sort(distinct([for target in var.target_accounts : target.role_arn]))
    kms_key_arn      = var.kms_key_arn
    tag_jobs         = var.tag_jobs
    recovery_regions = local.recovery_regions
    source_tags      = var.source_server_tags
    launch_role_arns = concat(
      [for role in local.drs_roles : "arn:${var.partition}:iam::${var.account_id}:role/service-role/${role}"],
      sort(var.launch_role_arns),
    )
    volume_key_arns       = sort(var.volume_key_arns)
    post_launch_documents = sort(var.post_launch_documents)
    automation_role_arns  = sort(var.automation_role_arns)
  }

  # Roles that DRS gives to the instances of a launch.
  drs_roles = [
    "AWSElasticDisasterRecoveryConversionServerRole",
    "AWSElasticDisasterRecoveryRecoveryInstanceRole",
    "AWSElasticDisasterRecoveryRecoveryInstanceWithLaunchActionsRole",
  ]

  templates = { for file in fileset("${path.module}/policies", "*.json.tftpl") : trimsuffix(file, ".json.tftpl") => file }

  # Decoded and encoded again: a template that renders to something else than JSON fails here and not in IAM, and a
  # change of white space is no change.
  policies = {
    for name, file in local.templates : name => jsonencode(jsondecode(templatefile("${path.module}/policies/${file}", local.policy_values)))
  }

  worker_policies = concat(
    ["worker"],
    var.recovers_own_account ? ["drs-observe", "drs-launch", "drs-actions", "drs-cleanup"] : [],
  )
}
