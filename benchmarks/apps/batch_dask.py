# mypy: disable-error-code="import-not-found,import-untyped"
"""Dask on two processes: map_partitions, a row group each. batch_dask.py MODEL DATA OUT"""

import sys
import time
from functools import cache

import dask
import dask.dataframe as dd
import joblib
import pandas as pd


@cache
def loaded(name):  # type: ignore[no-untyped-def]
    return joblib.load(name)


def predict(part, name):  # type: ignore[no-untyped-def]
    return pd.DataFrame({"prediction": loaded(name).predict(part) if len(part) else pd.Series([], dtype="int64")})


if __name__ == "__main__":
    begun = time.monotonic()
    with dask.config.set(scheduler="processes", num_workers=2):
        data = dd.read_parquet(f"{sys.argv[2]}/*.parquet", split_row_groups=True)
        data.map_partitions(predict, sys.argv[1], meta={"prediction": "int64"}).to_parquet(sys.argv[3], write_index=False)
    print("seconds", time.monotonic() - begun)
