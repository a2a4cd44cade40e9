"""What a competent user would write instead, one module for each way to write it; nothing here is used elsewhere."""
