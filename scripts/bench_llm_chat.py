"""The yardstick of bench.py: `LLM.chat` of all prompts at once, with the models file's engine arguments.

Prints the seconds it took, model loading and a warm-up not counted.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batch_app.inference import vllm_arguments
from batch_app.models import load_models
from batch_app.settings import PROJECT_DIR
from scripts.bench import prompts
from scripts.sample_candidates import DEFAULT_MODEL


def main() -> int:
    count, tokens = int(sys.argv[1]), int(sys.argv[2])
    spec = load_models(PROJECT_DIR / "models.toml", allow_unlisted=False).resolve(DEFAULT_MODEL)
    if spec is None:
        raise SystemExit(f"error: models.toml does not list {DEFAULT_MODEL}")
    os.environ.update(vllm_arguments.environment(os.environ))
    os.environ["HF_HUB_OFFLINE"] = "1"
    from vllm import LLM, SamplingParams  # noqa: PLC0415  # reads the environment when it is imported
    from vllm.platforms import current_platform  # noqa: PLC0415

    on_cpu = (
        {"enforce_eager": True, "kv_cache_memory_bytes": 4 * 1024**3} if current_platform.is_cpu() else {}
    )
    llm = LLM(model=spec.source, **{**on_cpu, **spec.engine})
    conversations = [row["body"]["messages"] for row in prompts(count, tokens)]
    llm.chat(conversations[:8], SamplingParams(max_tokens=8, temperature=0), use_tqdm=False)
    began = time.monotonic()
    llm.chat(conversations, SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True), use_tqdm=False)
    print(time.monotonic() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
