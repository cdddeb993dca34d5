# The function, what feeds it, where its log goes and what it could not take.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  description                    = "Writes events to S3 as Parquet, each once"
  role                           = var.role_arn
  filename                       = var.zip
  source_code_hash               = filebase64sha256(var.zip)
  handler                        = "ingestion.events.lambda_handler.handler"
  runtime                        = "python3.12"
  architectures                  = ["x86_64"]
  layers                         = var.layers
  memory_size                    = var.memory
  timeout                        = 60
  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = merge(
      { EVENTS_BUCKET = var.bucket },
      var.aws_endpoint_url == "" ? {} : { AWS_ENDPOINT_URL = var.aws_endpoint_url },
    )
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

# A batch that fails is halved down to the record at fault; that one's place in the stream goes to the queue, the rest goes on.
resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn                   = var.stream_arn
  function_name                      = aws_lambda_function.this.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 500
  maximum_batching_window_in_seconds = 30
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = 5
  function_response_types            = ["ReportBatchItemFailures"]

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_lambda_function_url" "http" {
  count = var.http ? 1 : 0

  function_name      = aws_lambda_function.this.function_name
  authorization_type = "AWS_IAM"
}
