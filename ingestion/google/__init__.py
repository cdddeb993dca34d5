"""What every Google source shares: credentials, retries, Drive, Sheets."""
