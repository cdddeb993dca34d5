"""Events as they arrive: bodies and stream records read into events, stored as objects by a Lambda function."""
