variable "activities" {
  description = "Activities by contract name, as the module contract gives them."
  type = map(object({
    name = string
    arn  = string
  }))

  validation {
    condition     = length(var.activities) > 0 && alltrue([for name in keys(var.activities) : can(regex("^[a-z]+(-[a-z]+)*-v[0-9]+$", name))])
    error_message = "activities must be named by contract names with a version, such as start-wave-v1."
  }
  validation {
    condition     = alltrue([for activity in var.activities : can(regex("^[A-Za-z0-9_-]{1,80}$", activity.name))])
    error_message = "An activity's full name may have 80 letters, digits, hyphens and underscores."
  }
  validation {
    condition     = alltrue([for activity in var.activities : can(regex("^arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:activity:.+$", activity.arn))])
    error_message = "Each activity needs the ARN that the definitions name."
  }
}
