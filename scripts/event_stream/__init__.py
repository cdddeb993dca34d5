"""Events on their way, tried at home: the mock producer, the Lambda's zip, and a runner that does for it what AWS does."""
