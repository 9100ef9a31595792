# What tells people, and what people may do.

module "notifications" {
  source = "../notifications"

  name_prefix                 = var.name_prefix
  recovery_state_machine_arn  = module.state_machine["recovery"].arn
  reconcile_state_machine_arn = module.state_machine["reconcile"].alias_arn
  event_bus_name              = module.event_bus.name
  email_subscriptions         = var.notification_emails
  announce_succeeded          = var.announce_succeeded
  events_name_executions      = var.events_name_executions
  other_rules                 = var.observability_enabled ? ["gate-opened"] : []
  kms_key_arn                 = local.kms_key_arn
}

module "observability" {
  source = "../observability"
  count  = var.observability_enabled ? 1 : 0

  name_prefix                 = var.name_prefix
  region                      = var.region
  recovery_state_machine_arn  = module.state_machine["recovery"].arn
  reconcile_state_machine_arn = module.state_machine["reconcile"].arn
  activity_arns               = module.activities.arns
  execution_history_table     = { name = module.tables.names["executionHistory"], arn = module.tables.arns["executionHistory"] }
  event_bus_name              = module.event_bus.name
  events_name_executions      = var.events_name_executions
  undelivered_queue_name      = module.notifications.undelivered_queue_name
  undelivered_queue_arn       = module.notifications.undelivered_queue_arn
  kms_key_arn                 = local.kms_key_arn
  alarm_topic_arns            = [module.notifications.topic_arn]
  paused_minutes              = var.paused_minutes
  create_alarms               = var.alarms_enabled
  create_query_definitions    = var.query_definitions_enabled

  # Without an image there is no worker yet, so nothing to miss: alarms on its log begin with the apply that starts it.
  worker_log_group_name = !var.workers_enabled || local.image == null ? null : module.workers[0].log_group_name
  worker_service = !var.workers_enabled || local.image == null ? null : {
    cluster_name = module.workers[0].cluster_name
    service_name = module.workers[0].service_name
    least_tasks  = var.workers.desired_count
  }
}

module "operator_policies" {
  source = "../operator-policies"

  name_prefix                 = var.name_prefix
  recovery_state_machine_arn  = module.state_machine["recovery"].arn
  reconcile_state_machine_arn = module.state_machine["reconcile"].arn
  state_machine_alias         = var.operators.start_through_alias_only ? "live" : null
  table_arns                  = module.tables.arns
  starters_may_not_approve    = var.operators.starters_may_not_approve
  approvers_need_mfa          = var.operators.approvers_need_mfa
  approver_source_cidrs       = var.operators.approver_source_cidrs
  kms_key_arn                 = local.kms_key_arn
}
