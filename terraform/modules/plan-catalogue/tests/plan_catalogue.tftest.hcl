mock_provider "aws" {
  source = "../testing"
}

variables {
  plans_table             = { name = "tidegate-x-recovery-plans", hash_key = "planId" }
  protection_groups_table = { name = "tidegate-x-protection-groups", hash_key = "groupId" }
  plans                   = { "crm.json" = file("../../../statemachine/inputs/plans/crm.json") }
  protection_groups       = { "crm-databases.json" = file("../../../statemachine/inputs/protection-groups/crm-databases.json") }
}

run "documents_land_as_the_workers_read_them" {
  assert {
    condition     = aws_dynamodb_table_item.plan["crm"].table_name == "tidegate-x-recovery-plans" && aws_dynamodb_table_item.plan["crm"].hash_key == "planId"
    error_message = "A plan lies in the table of plans under its id."
  }
  assert {
    condition     = toset(keys(jsondecode(aws_dynamodb_table_item.plan["crm"].item))) == toset(["planId", "planName", "plan", "version", "updatedAt"])
    error_message = "PlanRecord's members and no other."
  }
  assert {
    condition     = jsondecode(aws_dynamodb_table_item.plan["crm"].item).plan.S == file("../../../statemachine/inputs/plans/crm.json")
    error_message = "The document is kept as it was written."
  }
  assert {
    condition     = can(regex("^[0-9]{14}$", jsondecode(aws_dynamodb_table_item.plan["crm"].item).version.N)) && can(regex("^[0-9-]{10}T[0-9:]{8}\\.000Z$", jsondecode(aws_dynamodb_table_item.plan["crm"].item).updatedAt.S))
    error_message = "A version that rises, and the time of the change with three fraction digits."
  }
  assert {
    condition     = jsondecode(aws_dynamodb_table_item.protection_group["crm-databases"].item).groupName.S == "CRM databases"
    error_message = "A protection group lies in its own table."
  }
  assert {
    condition     = join(" ", output.plan_ids) == "crm" && join(" ", output.protection_group_ids) == "crm-databases"
    error_message = "What can be started is told."
  }
}

# The clock must not make a difference of its own.
run "nothing_changes_while_the_files_do_not" {
  assert {
    condition     = output.versions == run.documents_land_as_the_workers_read_them.versions
    error_message = "The same file gives the same item, later too."
  }
}

run "every_example_is_accepted" {
  command = plan
  variables {
    plans             = { for file in fileset("../../../statemachine/inputs/plans", "*.json") : file => file("../../../statemachine/inputs/plans/${file}") }
    protection_groups = { for file in fileset("../../../statemachine/inputs/protection-groups", "*.json") : file => file("../../../statemachine/inputs/protection-groups/${file}") }
  }

  assert {
    condition     = length(aws_dynamodb_table_item.plan) == length(fileset("../../../statemachine/inputs/plans", "*.json"))
    error_message = "Every example plan is made."
  }
}
