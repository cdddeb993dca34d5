variable "name" {
  description = "First part of the stream's name."
  type        = string
}

variable "shards" {
  description = "Shards, 1 MB/s each; null: on demand."
  type        = number
}

variable "retention_hours" {
  description = "How long an event is kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key of your own; null: the account's key for Kinesis."
  type        = string
}
