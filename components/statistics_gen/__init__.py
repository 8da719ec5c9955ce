"""StatisticsGen: TFDV's statistics, file by file."""
