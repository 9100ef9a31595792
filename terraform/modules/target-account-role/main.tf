# The role that workers take in another account to recover that account's servers. Deployed alone, with that account's
# credentials: nothing else of Tidegate is there. What it may do is what the worker may do at home, from the same templates.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  templates      = "${path.module}/../contract/policies"
  region_pattern = jsondecode(file("${path.module}/../../../statemachine/contract/contract.json")).regionPattern

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
    automation_role_arns  = sort(var.automation_role_arns)
  }

  policies = {
    for name in ["drs-observe", "drs-launch", "drs-actions", "drs-cleanup"] : name => jsonencode(jsondecode(templatefile("${local.templates}/${name}.json.tftpl", local.values)))
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

# Managed and not inline: a role's inline policies may have 10,240 characters together, a managed one 6,144 of its own.
resource "aws_iam_policy" "this" {
  for_each = local.policies

  name        = "${aws_iam_role.this.name}-${each.key}"
  description = "Tidegate's workers in this account: ${each.key}."
  policy      = each.value
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value) <= 6144
      error_message = "The policy ${each.key} is longer than the 6,144 characters IAM takes: name fewer Regions, roles, keys or documents."
    }
  }
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.policies

  role       = aws_iam_role.this.name
  policy_arn = aws_iam_policy.this[each.key].arn
}

resource "aws_iam_role_policy_attachment" "additional" {
  for_each = var.additional_worker_policies

  role       = aws_iam_role.this.name
  policy_arn = each.value
}
