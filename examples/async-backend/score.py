import asyncio
import json
import os

import httpx2


def init():
    global backend
    backend = httpx2.AsyncClient(base_url=os.environ["BACKEND"], timeout=30, transport=httpx2.AsyncHTTPTransport(retries=3))


async def run(data):
    """One worker waits for many requests at a time, and here for all customers of a request at once."""
    customers = json.loads(data)["customers"]
    return {"orders": await asyncio.gather(*map(orders, customers))}


async def orders(customer):
    answer = await backend.get(f"/{customer}")
    return answer.json()["orders"]
