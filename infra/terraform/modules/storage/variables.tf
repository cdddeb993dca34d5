variable "name" {
  description = "First part of the bucket's name; the account's number makes it unique."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of your own; null: the account's key for S3."
  type        = string
}

variable "force_destroy" {
  description = "Whether `destroy` may delete a bucket that still holds events."
  type        = bool
}

variable "noncurrent_days" {
  description = "Days an overwritten or deleted object is kept."
  type        = number
}

variable "tls_only" {
  description = "Whether requests without TLS are denied; false for an emulator that knows no TLS."
  type        = bool
}
