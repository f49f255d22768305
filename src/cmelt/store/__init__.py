"""Prepared data on disk: int16 shards, a parquet index, a manifest; written once, read by memory map."""

from cmelt.store.joined import AnyStore, JoinedStore, open_stores
from cmelt.store.opened import Store, StoredRecord, open_store
from cmelt.store.prepare import Prepared, prepare_store
from cmelt.store.shard import ShardSettings

__all__ = [
    "AnyStore",
    "JoinedStore",
    "Prepared",
    "ShardSettings",
    "Store",
    "StoredRecord",
    "open_store",
    "open_stores",
    "prepare_store",
]
