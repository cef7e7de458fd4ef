"""The data of one node: databases, partitions, keys, values, expiry. Pure: the time is an argument."""
