# The role that workers take in another account to recover that account's servers. Deployed alone, with that account's
# credentials: nothing else of Tidegate is there. What it may do is what the worker may do at home, from the same templates.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  templates = "${path.module}/../contract/policies"

  # Roles that DRS gives to the instances of a launch.
  drs_roles = [
    "AWSElasticDisasterRecoveryConversionServerRole",
    "AWSElasticDisasterRecoveryRecoveryInstanceRole",
    "AWSElasticDisasterRecoveryRecoveryInstanceWithLaunchActionsRole",
  ]

  values = {
    partition        = data.aws_partition.current.partition
    account_id       = data.aws_caller_identity.current.account_id
    recovery_regions = sort(var.recovery_regions)
    tag_jobs         = var.tag_jobs
    source_tags      = var.source_server_tags
    launch_role_arns = concat(
      [for role in local.drs_roles : "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/service-role/${role}"],
      sort(var.launch_role_arns),
    )
    volume_key_arns       = sort(var.volume_key_arns)
    post_launch_documents = sort(var.post_launch_documents)
  }

  policies = {
    for name in ["drs-observe", "drs-launch", "drs-cleanup"] : name => jsonencode(jsondecode(templatefile("${local.templates}/${name}.json.tftpl", local.values)))
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.name_prefix}-target"
  description          = "Tidegate's workers recover this account's servers with it."
  max_session_duration = var.max_session_seconds
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = templatefile("${path.module}/policies/trust-worker.json.tftpl", {
    worker_role_arn = var.worker_role_arn
    external_id     = var.external_id
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = each.key
  role   = aws_iam_role.this.id
  policy = each.value

  lifecycle {
    precondition {
      # Of all inline policies of one role together.
      condition     = sum([for policy in values(local.policies) : length(policy)]) <= 10240
      error_message = "The policies are longer than the 10,240 characters that a role's inline policies may have: name fewer Regions, roles, keys or documents."
    }
  }
}
