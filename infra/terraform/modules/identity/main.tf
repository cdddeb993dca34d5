# Who may do what, and nothing else: the function writes, the reader (the platform) reads, the producer puts.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account  = data.aws_caller_identity.current.account_id
  place    = "${data.aws_region.current.name}:${local.account}"
  prefix   = "arn:${data.aws_partition.current.partition}"
  log      = "${local.prefix}:logs:${local.place}:log-group:/aws/lambda/${var.function_name}"
  letters  = "${local.prefix}:sqs:${local.place}:${var.function_name}-dead-letters"
  function = "${local.prefix}:lambda:${local.place}:function:${var.function_name}"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  name               = var.function_name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "function" {
  name   = "function"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}

resource "aws_iam_policy" "reader" {
  name        = "${var.name}-reader"
  description = "Reads the events of ${var.name}"
  policy      = data.aws_iam_policy_document.reader.json
}

resource "aws_iam_policy" "producer" {
  name        = "${var.name}-producer"
  description = "Puts events into the stream of ${var.name}"
  policy      = data.aws_iam_policy_document.producer.json
}
