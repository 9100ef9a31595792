# The workers, unless they run elsewhere with the output `env` and the output `worker_policies`.

locals {
  image = try(var.workers.image, null)

  # An image of another account or Region: <account>.dkr.ecr.<region>.amazonaws.com/<repository>@sha256:...
  image_parts = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[a-z.]+/([^@]+)@", local.image), null)
  image_repository_arn = local.image_parts == null ? null : (
    "arn:${data.aws_partition.current.partition}:ecr:${local.image_parts[1]}:${local.image_parts[0]}:repository/${local.image_parts[2]}"
  )
}

module "workers" {
  source = "../workers"
  count  = var.workers_enabled ? 1 : 0

  name_prefix      = var.name_prefix
  names            = module.contract.worker
  region           = var.region
  trust_policy     = module.contract.policies["trust-worker"]
  execution_policy = module.contract.policies["worker-execution"]
  task_policies    = local.worker_policies
  activity_arns    = module.activities.arns
  table_names      = module.tables.names
  tag_jobs         = var.tag_jobs
  reach            = module.contract.reach
  kms_key_arn      = local.kms_key_arn

  additional_task_policies = var.additional_worker_policies

  image                   = local.image
  vpc_id                  = var.workers.vpc_id
  subnet_ids              = var.workers.subnet_ids
  assign_public_ip        = var.workers.assign_public_ip
  egress_cidr_blocks      = var.workers.egress_cidr_blocks
  egress_prefix_list_ids  = var.workers.egress_prefix_list_ids
  cpu                     = var.workers.cpu
  memory                  = var.workers.memory
  cpu_architecture        = var.workers.cpu_architecture
  desired_count           = var.workers.desired_count
  stop_timeout            = var.workers.stop_timeout
  pollers                 = var.workers.pollers
  slots                   = var.workers.slots
  log_filter              = var.workers.log_filter
  log_retention_days      = var.log_retention_days
  autoscaling             = var.workers.autoscaling
  kept_images             = var.workers.kept_images
  force_delete_repository = var.workers.force_delete_repository
  wait_for_steady_state   = var.workers.wait_for_steady_state
}

locals {
  worker_policies = { for name in module.contract.worker.policy_names : name => module.contract.policies[name] }
}

module "vpc_endpoints" {
  source = "../vpc-endpoints"
  count  = var.vpc_endpoints == null ? 0 : 1

  name_prefix               = var.name_prefix
  region                    = var.region
  account_id                = data.aws_caller_identity.current.account_id
  target_account_ids        = toset(keys(var.target_accounts))
  vpc_id                    = var.workers.vpc_id
  subnet_ids                = var.workers.subnet_ids
  route_table_ids           = var.vpc_endpoints.route_table_ids
  client_security_group_ids = [module.workers[0].security_group_id]
  interface_services        = var.vpc_endpoints.interface_services
  gateway_services          = var.vpc_endpoints.gateway_services
}
