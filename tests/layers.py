"""The folders of tests in the order in which they run, and what of them runs beside what."""

# What a layer starts decides its place: a broken line parser shows before a browser does. The browser comes last
# also because Playwright keeps an event loop running in the main thread.
LAYERS = [
    "unit",
    "store",
    "worker",
    "stateful",
    "api",
    "web",
    "client",
    "openai_client",
    "operations",
    "security",
    "processes",
    "vllm",
    "browser",
]
# The two lanes take about as long as each other on two cores: in front is what waits for pages and for commands, the
# browser most of the time; aside what stays in the process of the tests or starts our own alone.
ASIDE = ["unit", "store", "worker", "stateful", "api", "operations", "security", "processes"]
# vLLM computes on every core, and each of them waits for the slowest: it shares with nobody.
ALONE = ["vllm"]
IN_FRONT = [layer for layer in LAYERS if layer not in (*ASIDE, *ALONE)]
