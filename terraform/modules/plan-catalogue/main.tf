# Recovery plans and protection groups from files into their tables, in the shape the workers read (PlanRecord and
# GroupRecord in workers/contract). A run reads its plan once, in Prepare: changing one never touches a run in flight.

module "documents" {
  source = "../plan-documents"

  plans             = var.plans
  protection_groups = var.protection_groups
  account_ids       = var.account_ids
  recovery_regions  = var.recovery_regions
}

locals {
  records = merge(
    { for id, plan in module.documents.plans : "plan/${id}" => plan },
    { for id, group in module.documents.protection_groups : "group/${id}" => group },
  )
}

# When a document changed last. A hash would do to tell versions apart, but not which of two came later; a clock in the
# item itself would differ in every plan.
resource "terraform_data" "changed" {
  for_each = local.records

  input            = plantimestamp()
  triggers_replace = [sha256(each.value.text)]

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_dynamodb_table_item" "plan" {
  for_each = module.documents.plans

  table_name = var.plans_table.name
  hash_key   = var.plans_table.hash_key
  item       = local.items["plan/${each.key}"]

  depends_on = [module.documents]
}

resource "aws_dynamodb_table_item" "protection_group" {
  for_each = module.documents.protection_groups

  table_name = var.protection_groups_table.name
  hash_key   = var.protection_groups_table.hash_key
  item       = local.items["group/${each.key}"]

  depends_on = [module.documents]
}

locals {
  items = {
    for key, record in local.records : key => jsonencode({
      ("${record.prefix}Id")   = { S = record.id }
      ("${record.prefix}Name") = { S = record.name }
      (record.prefix)          = { S = record.text }
      # Rises with every change, as the local deploy's counter does, and needs no knowledge of what is stored.
      version   = { N = formatdate("YYYYMMDDhhmmss", terraform_data.changed[key].input) }
      updatedAt = { S = formatdate("YYYY-MM-DD'T'hh:mm:ss'.000Z'", terraform_data.changed[key].input) }
    })
  }
}
