# Lets workers in private subnets reach AWS without a NAT gateway, in their own Region. DRS in another Region, and a target
# account's other Regions, are not reached this way.

locals {
  # Called with the target roles' credentials, so the caller belongs to the target account.
  cross_account = ["drs", "ec2"]

  partition = startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"

  gateway_policies = {
    dynamodb = templatefile("${path.module}/policies/dynamodb.json.tftpl", {
      tables     = "arn:${local.partition}:dynamodb:${var.region}:${var.account_id}:table/${var.name_prefix}-*"
      account_id = var.account_id
    })
    # ECR keeps image layers in a bucket of its own and signs the links to them.
    s3 = templatefile("${path.module}/policies/s3.json.tftpl", {
      layers = "arn:${local.partition}:s3:::prod-${var.region}-starport-layer-bucket/*"
    })
  }
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name_prefix}-endpoints"
  description = "HTTPS from the workers to the interface endpoints"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name_prefix}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  # Not for_each: a group that the same apply makes has no id yet, and a key must be known.
  count = length(var.client_security_group_ids)

  security_group_id            = aws_security_group.endpoints.id
  description                  = "HTTPS from ${var.client_security_group_ids[count.index]}"
  referenced_security_group_id = var.client_security_group_ids[count.index]
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = var.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_services

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = merge(var.tags, { Name = "${var.name_prefix}-${each.value}" })

  policy = templatefile("${path.module}/policies/interface.json.tftpl", {
    account_ids = contains(local.cross_account, each.value) ? sort(concat([var.account_id], tolist(var.target_account_ids))) : [var.account_id]
  })
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = var.gateway_services

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  policy            = local.gateway_policies[each.value]
  tags              = merge(var.tags, { Name = "${var.name_prefix}-${each.value}" })
}
