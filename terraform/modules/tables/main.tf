# The records: execution history, waves, plans, protection groups, locks. On demand, because a drill an hour long once a
# quarter has no load to provision for.

locals {
  # DynamoDB takes an attribute definition for every key of the table and of its indexes, and for nothing else. The
  # provider's schema does not check that; an attribute too many is refused only by the service.
  key_attributes = {
    for key, table in var.tables : key => toset(compact(concat(
      [table.hash_key, table.range_key],
      flatten([for index in table.indexes : [index.hash_key, index.range_key]]),
    )))
  }
}

resource "aws_dynamodb_table" "this" {
  for_each = var.tables

  name                        = each.value.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.hash_key
  range_key                   = each.value.range_key
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.key_attributes[each.key]
    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.hash_key
      range_key       = global_secondary_index.value.range_key
      projection_type = "ALL"
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl_attribute == null ? [] : [each.value.ttl_attribute]
    content {
      enabled        = true
      attribute_name = ttl.value
    }
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
