# Reads statemachine/contract/contract.json, which `make contract` generates from the code, and renders everything that
# follows from it as text: names, ARNs, definitions, policies. Resources live in the modules beside this one.

locals {
  statemachine = "${path.module}/../../../statemachine"
  contract     = jsondecode(file("${local.statemachine}/contract/contract.json"))

  event_bus_name   = var.name_prefix
  recovery_regions = length(var.recovery_regions) > 0 ? sort(var.recovery_regions) : [var.region]

  activities = {
    for activity in local.contract.activities : activity.name => {
      name              = "${var.name_prefix}-${activity.name}"
      arn               = "arn:${var.partition}:states:${var.region}:${var.account_id}:activity:${var.name_prefix}-${activity.name}"
      placeholder       = activity.placeholder
      timeout_seconds   = activity.timeoutSeconds
      heartbeat_seconds = activity.heartbeatSeconds
    }
  }

  tables = {
    for table in local.contract.tables : table.key => {
      name          = "${var.name_prefix}-${table.name}"
      arn           = "arn:${var.partition}:dynamodb:${var.region}:${var.account_id}:table/${var.name_prefix}-${table.name}"
      placeholder   = table.placeholder
      hash_key      = table.partitionKey
      range_key     = table.sortKey
      ttl_attribute = table.ttlAttribute
      indexes = {
        for index in table.indexes : index.name => { hash_key = index.partitionKey, range_key = index.sortKey }
      }
    }
  }

  state_machine_arns = {
    for machine in local.contract.stateMachines : machine.name => {
      placeholder = machine.placeholder
      name        = "${var.name_prefix}-${machine.name}"
      arn         = "arn:${var.partition}:states:${var.region}:${var.account_id}:stateMachine:${var.name_prefix}-${machine.name}"
    }
  }

  # What each placeholder of a definition stands for. The local deploy fills in the same (local/deploy.py).
  placeholder_values = merge(
    { EventBusName = local.event_bus_name, Partition = var.partition },
    { for activity in local.activities : activity.placeholder => activity.arn },
    { for table in local.tables : table.placeholder => table.name },
    { for machine in local.state_machine_arns : machine.placeholder => machine.arn },
  )

  # The text as it lies in the repository, to find placeholders in.
  definition_texts = {
    for machine in local.contract.stateMachines : machine.name => file("${local.statemachine}/${machine.definition}")
  }

  placeholders_used = toset(flatten([
    for text in local.definition_texts : regexall("\\$\\{([^}]*)\\}", text)
  ]))

  # start-wave-v1 and start-wave-v2 are two versions of start-wave.
  called_verbs = toset([
    for name, activity in local.activities : replace(name, "/-v[0-9]+$/", "") if contains(local.placeholders_used, activity.placeholder)
  ])
  uncalled_activities = [for name in keys(local.activities) : name if !contains(local.called_verbs, replace(name, "/-v[0-9]+$/", ""))]

  state_machines = {
    for machine in local.contract.stateMachines : machine.name => {
      name           = local.state_machine_arns[machine.name].name
      arn            = local.state_machine_arns[machine.name].arn
      role_name      = "${var.name_prefix}-${machine.name}-machine"
      log_group_name = "/aws/vendedlogs/states/${var.name_prefix}-${machine.name}"
      definition     = templatefile("${local.statemachine}/${machine.definition}", local.placeholder_values)
    }
  }

  worker = {
    repository_name     = "${var.name_prefix}-worker"
    repository_arn      = "arn:${var.partition}:ecr:${var.region}:${var.account_id}:repository/${var.name_prefix}-worker"
    log_group_name      = "/tidegate/${var.name_prefix}/worker"
    task_role_name      = "${var.name_prefix}-worker-task"
    execution_role_name = "${var.name_prefix}-worker-execution"
  }
}

# Relations between settings that no single variable can check.
resource "terraform_data" "guards" {
  input = var.region

  lifecycle {
    precondition {
      condition     = !contains(var.protected_regions, var.region)
      error_message = "The control plane is to be deployed in ${var.region}, which is one of the protected Regions: it would be lost together with what it recovers. Deploy it in the recovery Region."
    }
    precondition {
      condition     = length(setintersection(var.protected_regions, local.recovery_regions)) == 0
      error_message = "A Region cannot be both protected and recovered into: ${join(", ", setintersection(var.protected_regions, local.recovery_regions))}."
    }
    precondition {
      condition     = var.recovers_own_account || length(var.target_accounts) > 0
      error_message = "recovers_own_account is false and target_accounts is empty: the workers could recover nothing."
    }
    precondition {
      # Half a deployment. An older version beside one that is called is whole: executions in flight still call it.
      condition     = length(local.uncalled_activities) == 0
      error_message = "Activities of the contract that no state machine calls in any version: ${join(", ", local.uncalled_activities)}."
    }
    precondition {
      condition     = alltrue([for activity in local.activities : length(activity.name) <= 80])
      error_message = "An activity name may have 80 characters; use a shorter name_prefix."
    }
    precondition {
      # AWS counts a managed policy without its white space.
      condition     = alltrue([for name in local.worker_policies : length(replace(local.policies[name], "/\\s/", "")) <= 6144])
      error_message = "A policy may have 6,144 characters; name fewer Regions, roles, keys or documents, for too large are: ${join(", ", [for name in local.worker_policies : name if length(replace(local.policies[name], "/\\s/", "")) > 6144])}."
    }
  }
}
