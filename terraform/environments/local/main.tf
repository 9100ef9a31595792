# Applies to the local stack (MiniStack): no AWS account, no cost. Workers are those of the stack or of the shell that
# evaluates env_lines, because MiniStack records ECS tasks without running them.

provider "aws" {
  region                      = var.region
  access_key                  = "111122223333" # 12 digits: MiniStack takes them for the account; the stack's own
  secret_key                  = "local"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
  s3_use_path_style           = true

  endpoints {
    cloudwatch               = var.endpoint
    dynamodb                 = var.endpoint
    ec2                      = var.endpoint
    ecr                      = var.endpoint
    ecs                      = var.endpoint
    events                   = var.endpoint
    iam                      = var.endpoint
    kms                      = var.endpoint
    logs                     = var.endpoint
    sfn                      = var.endpoint
    sns                      = var.endpoint
    sqs                      = var.endpoint
    ssm                      = var.endpoint
    sts                      = var.endpoint
    resourcegroupstaggingapi = var.endpoint
  }
}

module "tidegate" {
  source = "../../modules/tidegate"

  name_prefix         = var.name_prefix
  region              = var.region
  protected_regions   = ["us-east-1"]
  deletion_protection = var.deletion_protection

  # MiniStack records ECS tasks without running them, answers the provider's DescribeAlarms with half of each alarm (every
  # plan would show them all as changed), has no calls for saved queries, and does not add an execution's ARN to its events.
  workers_enabled           = false
  alarms_enabled            = false
  query_definitions_enabled = false
  events_name_executions    = false
  tracing_enabled           = null # MiniStack does not keep it, so every plan would show it again.
  catalogue_path            = coalesce(var.catalogue_path, "${path.module}/../../../statemachine/inputs")
}
