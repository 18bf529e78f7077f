"""The seeds' files that say how a model is served: inference configurations and deployment configurations, JSON or YAML, in every spelling they had."""
