"""Engines that hand shards to other machines: Ray and Spark. What reads, scores and writes a shard is `runner.ShardRunner`, there as here."""
