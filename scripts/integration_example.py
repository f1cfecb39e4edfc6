"""How a web app sends a batch: needs `candidates.jsonl` in the current folder and leaves `results.jsonl`
there.
"""

import time

import requests

# Submit batch
with open("candidates.jsonl", "rb") as f:
    response = requests.post(
        "http://localhost:4080/v1/batches",
        files={"file": f},
        data={"model": "google/gemma-3-4b-it"},
    )
batch_id = response.json()["batch_id"]

# Poll for completion
while True:
    status = requests.get(f"http://localhost:4080/v1/batches/{batch_id}").json()
    if status["status"] == "completed":
        break
    time.sleep(10)

# Download results
results = requests.get(f"http://localhost:4080/v1/batches/{batch_id}/results")
with open("results.jsonl", "wb") as f:
    f.write(results.content)
