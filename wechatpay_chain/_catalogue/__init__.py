"""Facts about the operations of WeChat Pay, as data."""
