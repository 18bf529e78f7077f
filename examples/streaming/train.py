"""Which word follows which in the Zen of Python, which ships with Python: out/chain.json."""

import codecs
import contextlib
import io
import json
from collections import defaultdict
from pathlib import Path

with contextlib.redirect_stdout(io.StringIO()):
    import this

words = codecs.decode(this.s, "rot13").lower().replace(".", " ").replace(",", " ").split()
chain = defaultdict(list)
for word, following in zip(words, [*words[1:], words[0]], strict=True):
    chain[word].append(following)
Path("out").mkdir(exist_ok=True)
Path("out/chain.json").write_text(json.dumps(chain))
