//! History tables: Parquet partitions, commit, retention.
