# Composes a deployment: the one module that an environment calls. Resources live in the modules beside this one; what is
# here is which of them there are and what they tell each other.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

module "encryption_key" {
  source = "../encryption-key"
  count  = var.encryption_key_enabled ? 1 : 0

  name_prefix = var.name_prefix
  partition   = data.aws_partition.current.partition
  region      = var.region
  account_id  = data.aws_caller_identity.current.account_id
}

module "contract" {
  source = "../contract"

  name_prefix           = var.name_prefix
  partition             = data.aws_partition.current.partition
  region                = var.region
  account_id            = data.aws_caller_identity.current.account_id
  protected_regions     = var.protected_regions
  recovery_regions      = var.recovery_regions
  target_accounts       = var.target_accounts
  recovers_own_account  = var.recovers_own_account
  launch_role_arns      = var.launch_role_arns
  source_server_tags    = var.source_server_tags
  volume_key_arns       = var.volume_key_arns
  post_launch_documents = var.post_launch_documents
  automation_role_arns  = var.automation_role_arns
  tag_jobs              = var.tag_jobs
  kms_key_arn           = local.kms_key_arn
  image_repository_arn  = local.image_repository_arn
}

module "activities" {
  source = "../activities"

  activities = module.contract.activities
}

module "tables" {
  source = "../tables"

  tables                 = module.contract.tables
  deletion_protection    = var.deletion_protection
  point_in_time_recovery = var.point_in_time_recovery
  kms_key_arn            = local.kms_key_arn
}

module "state_machine" {
  source   = "../state-machine"
  for_each = module.contract.state_machines

  name               = each.value.name
  definition         = each.value.definition
  role_name          = each.value.role_name
  trust_policy       = module.contract.policies["trust-state-machine"]
  log_group_name     = each.value.log_group_name
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
  tracing_enabled    = var.tracing_enabled
  kms_key_arn        = local.kms_key_arn

  policies = {
    what-its-states-do = module.contract.policies["machine-${each.key}"]
    logs-and-traces    = module.contract.policies["machine-platform"]
  }

  # A machine must not run before what it calls is there.
  depends_on = [module.activities, module.tables]
}

module "event_bus" {
  source = "../event-bus"

  name              = module.contract.events.bus_name
  machine_role_arns = [for machine in module.state_machine : machine.role_arn]
}

module "plan_catalogue" {
  source = "../plan-catalogue"

  plans                   = local.plans
  protection_groups       = local.protection_groups
  plans_table             = { name = module.tables.names["recoveryPlans"], hash_key = module.contract.tables["recoveryPlans"].hash_key }
  protection_groups_table = { name = module.tables.names["protectionGroups"], hash_key = module.contract.tables["protectionGroups"].hash_key }
  account_ids             = setunion(keys(var.target_accounts), [data.aws_caller_identity.current.account_id])
  recovery_regions        = module.contract.recovery_regions
}

locals {
  kms_key_arn = var.encryption_key_enabled ? one(module.encryption_key[*].key_arn) : var.kms_key_arn

  # One read of the folder; the keys say in an error message which file is meant.
  files = var.catalogue_path == null ? {} : {
    for kind in ["plans", "protection-groups"] : kind => {
      for file in fileset("${var.catalogue_path}/${kind}", "*.json") : "${kind}/${file}" => file("${var.catalogue_path}/${kind}/${file}")
    }
  }
  plans             = lookup(local.files, "plans", {})
  protection_groups = lookup(local.files, "protection-groups", {})
}
