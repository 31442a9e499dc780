"""What is too large to be meant: limits with their units and reasons."""

# Evaluation

MAX_SAMPLES = 1_000_000  # pictures a side: 12 GB of features, days of a CPU
MAX_HELD_SAMPLES = 50_000  # with --memorisation, which holds the pictures: 0.6 GB at 64x64
MAX_SCORED_SIZE = 1024  # pixels a side; the network sees pictures at 299
MAX_BATCH_BYTES = 2**26  # of pictures that are read at once to be scored
MAX_INCEPTION_BYTES = 2**28  # of weights, on disk and unpacked; true ones have 96 MB
MAX_SCORES_BYTES = 2**26  # of an evaluation.jsonl; a record has about 2 kB
