# One customer managed key for a deployment: tables, log groups, topic, dead-letter queue and image repository. For those
# whose rules ask for a key of their own; without this module AWS's own keys do the same for nothing.

resource "aws_kms_key" "this" {
  description             = "Tidegate ${var.name_prefix}: tables, logs, notifications, images"
  enable_key_rotation     = true
  rotation_period_in_days = var.rotation_days
  deletion_window_in_days = var.deletion_window_days
  tags                    = var.tags

  policy = jsonencode(jsondecode(templatefile("${path.module}/policies/key.json.tftpl", {
    partition          = var.partition
    region             = var.region
    account_id         = var.account_id
    name_prefix        = var.name_prefix
    administrator_arns = sort(var.administrator_arns)
  })))
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name_prefix}"
  target_key_id = aws_kms_key.this.key_id
}
