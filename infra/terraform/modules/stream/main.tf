# The stream events are put into: encrypted, kept long enough for a reader to be away.
resource "aws_kinesis_stream" "events" {
  name             = "${var.name}-events"
  shard_count      = var.shards
  retention_period = var.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = var.kms_key_arn == null ? "alias/aws/kinesis" : var.kms_key_arn

  stream_mode_details {
    stream_mode = var.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }
}
