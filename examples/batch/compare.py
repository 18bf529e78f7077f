"""Every row of out/rows has one answer in out/scores, in the same order, and it is the model's own."""

import joblib
import numpy as np
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer

own = joblib.load("out/model.joblib").predict(load_breast_cancer(return_X_y=True, as_frame=True)[0])
scores = pq.read_table("out/scores")
ids = scores["id"].to_numpy()
assert np.array_equal(ids, np.arange(len(ids))), "rows are missing, doubled, or out of order"
assert np.array_equal(scores["prediction"].to_numpy(), own[ids % len(own)]), "an answer differs from the model's own"
print(f"{len(ids):,} answers, all of them the model's own")
