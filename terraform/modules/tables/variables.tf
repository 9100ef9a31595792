variable "tables" {
  description = "Tables by contract key, as the module contract gives them. All key attributes are text."
  type = map(object({
    name          = string
    hash_key      = string
    range_key     = optional(string)
    ttl_attribute = optional(string)
    indexes       = optional(map(object({ hash_key = string, range_key = optional(string) })), {})
  }))

  validation {
    condition     = length(var.tables) > 0 && alltrue([for table in var.tables : can(regex("^[A-Za-z0-9_.-]{3,255}$", table.name))])
    error_message = "A table's name has 3 to 255 letters, digits, dots, hyphens and underscores."
  }
  validation {
    condition     = alltrue([for table in var.tables : length(table.indexes) <= 20])
    error_message = "A table may have 20 global secondary indexes."
  }
  validation {
    # DynamoDB deletes items by this attribute: a key there would delete every record once it is read as a time.
    condition = alltrue([
      for table in var.tables : !contains(compact([table.hash_key, table.range_key]), table.ttl_attribute == null ? "" : table.ttl_attribute)
    ])
    error_message = "The TTL attribute cannot be a key."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the tables, also for Terraform. To destroy a deployment, apply false first."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Keep 35 days of continuous backups."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Customer managed key for the tables; null: DynamoDB's AWS managed key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a KMS key ARN (not an alias)."
  }
}
