mock_provider "aws" {
  source = "../testing"
}

variables {
  tables = {
    executionHistory = {
      name          = "tidegate-x-execution-history"
      hash_key      = "executionId"
      range_key     = "planId"
      ttl_attribute = "expiresAt"
      indexes       = { StatusIndex = { hash_key = "status", range_key = "startTime" }, planIdIndex = { hash_key = "planId", range_key = "startTime" } }
    }
    serverLocks = {
      name     = "tidegate-x-server-locks"
      hash_key = "server"
    }
  }
}

run "tables_are_laid_out_as_the_contract_says" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this["executionHistory"].hash_key == "executionId" && aws_dynamodb_table.this["executionHistory"].range_key == "planId"
    error_message = "Keys come from the contract."
  }
  assert {
    condition     = toset([for index in aws_dynamodb_table.this["executionHistory"].global_secondary_index : "${index.name}:${index.hash_key}:${index.range_key}:${index.projection_type}"]) == toset(["StatusIndex:status:startTime:ALL", "planIdIndex:planId:startTime:ALL"])
    error_message = "Indexes come from the contract and hold every attribute."
  }
  assert {
    # DynamoDB refuses an attribute that no key or index uses, and the provider does not check it.
    condition     = toset([for attribute in aws_dynamodb_table.this["executionHistory"].attribute : attribute.name]) == toset(["executionId", "planId", "status", "startTime"])
    error_message = "Attributes are the keys of table and indexes, each once, and no other."
  }
  assert {
    condition     = toset([for attribute in aws_dynamodb_table.this["serverLocks"].attribute : "${attribute.name}:${attribute.type}"]) == toset(["server:S"])
    error_message = "A table without indexes defines its key only."
  }
  assert {
    condition     = one(aws_dynamodb_table.this["executionHistory"].ttl).attribute_name == "expiresAt" && one(aws_dynamodb_table.this["executionHistory"].ttl).enabled
    error_message = "Records expire by the contract's attribute."
  }
  assert {
    condition     = length([for ttl in aws_dynamodb_table.this["serverLocks"].ttl : ttl if ttl.enabled == true]) == 0
    error_message = "A lock never expires by itself."
  }
}

run "tables_are_safe_unless_told_otherwise" {
  command = plan

  assert {
    condition = alltrue([
      for table in aws_dynamodb_table.this : table.deletion_protection_enabled && one(table.point_in_time_recovery).enabled && one(table.server_side_encryption).enabled && table.billing_mode == "PAY_PER_REQUEST"
    ])
    error_message = "Protected, backed up, encrypted, on demand."
  }
}

run "protection_can_be_taken_away" {
  command = plan
  variables {
    deletion_protection    = false
    point_in_time_recovery = false
    kms_key_arn            = "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d"
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : !table.deletion_protection_enabled && !one(table.point_in_time_recovery).enabled])
    error_message = "Both follow their variables."
  }
  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : one(table.server_side_encryption).kms_key_arn == "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d"])
    error_message = "The customer's key is used."
  }
}

run "refuses_no_tables" {
  command = plan
  variables {
    tables = {}
  }
  expect_failures = [var.tables]
}

run "refuses_a_bad_name" {
  command = plan
  variables {
    tables = { a = { name = "x y", hash_key = "k" } }
  }
  expect_failures = [var.tables]
}

run "refuses_too_many_indexes" {
  command = plan
  variables {
    tables = { a = { name = "abc", hash_key = "k", indexes = { for n in range(21) : "i${n}" => { hash_key = "k" } } } }
  }
  expect_failures = [var.tables]
}

run "refuses_a_key_that_expires" {
  command = plan
  variables {
    tables = { a = { name = "abc", hash_key = "k", ttl_attribute = "k" } }
  }
  expect_failures = [var.tables]
}

run "refuses_a_key_alias" {
  command = plan
  variables {
    kms_key_arn = "alias/x"
  }
  expect_failures = [var.kms_key_arn]
}
