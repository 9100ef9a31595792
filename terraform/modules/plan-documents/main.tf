# Recovery plans and protection groups as they are written: what is wrong with them (check.tf), and what of them is stored.
# Nothing is stored while one document is wrong: a plan beside a group that was refused would be half a change.

locals {
  # By id, with every file that claims it: two are refused below, and must not fail here, where no sentence could say so.
  # A document without a usable id is left out, and refused, too.
  plan_files = {
    for file, plan in local.plan_documents : plan.planId => file... if can(regex("^[A-Za-z0-9._-]{1,64}$", plan.planId))
  }
  group_files = {
    for file, group in local.group_documents : group.groupId => file... if can(regex("^[A-Za-z0-9._-]{1,64}$", group.groupId))
  }

  plans = { for id, files in local.plan_files : id => {
    id     = id
    name   = try(tostring(local.plan_documents[files[0]].planName), "")
    text   = var.plans[files[0]]
    prefix = "plan"
  } }
  protection_groups = { for id, files in local.group_files : id => {
    id     = id
    name   = try(tostring(local.group_documents[files[0]].groupName), "")
    text   = var.protection_groups[files[0]]
    prefix = "group"
  } }
}

resource "terraform_data" "checked" {
  input = sha256(jsonencode([var.plans, var.protection_groups]))

  lifecycle {
    precondition {
      condition     = length(local.problems) == 0
      error_message = "The recovery plans or protection groups cannot be used:\n${join("\n", [for problem in local.problems : "  - ${problem}"])}"
    }
  }
}
