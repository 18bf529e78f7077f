import json
import os
import random


def init():
    global chain
    with open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "chain.json")) as file:
        chain = json.load(file)


def run(data):
    """A generator: each word is on its way to the caller before the next one is chosen."""
    asked = json.loads(data)
    dice, word = random.Random(asked.get("seed", 0)), asked["start"]
    said = 0
    try:
        while said < asked.get("words", 20):
            yield word + " "
            said += 1
            word = dice.choice(chain[word])
    finally:
        print(f"{said} words said")  # also when the caller has gone
