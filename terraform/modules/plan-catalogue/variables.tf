variable "plans" {
  description = "Recovery plans: JSON text by file name."
  type        = map(string)
  default     = {}
}

variable "protection_groups" {
  description = "Protection groups: JSON text by file name."
  type        = map(string)
  default     = {}
}

variable "plans_table" {
  description = "Table of the recovery plans, with its key."
  type        = object({ name = string, hash_key = string })
}

variable "protection_groups_table" {
  description = "Table of the protection groups, with its key."
  type        = object({ name = string, hash_key = string })
}

variable "target_role_arns" {
  description = "Roles that the workers may assume: an accountRole of a plan must be one of them."
  type        = set(string)
  default     = []
}
