"""Benchmarks: a load generator for any WebSocket server, and Finch measured beside its peers."""
