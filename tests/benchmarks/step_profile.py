"""Where the time of our training step goes, by kind of operation and by operation.

    python tests/benchmarks/step_profile.py [--recipe celeba] [--width 0.25] [--threads 1]

Milliseconds as TensorFlow's own profiler counts them; of each operation the fastest of all traced
steps, because what else the machine does falls on single ones. With more than one thread, several
operations may run at once.
"""

import collections
import os
import time
from pathlib import Path

import turns
from step import OPTIONS, build_model, compile_step, random_batch, recipe, repeat


def trace(arguments):
    """Return milliseconds of a step without the profiler, and the path of the trace."""
    config, count = recipe(arguments, whole=arguments.whole), arguments.rounds
    tf = turns.tensorflow()
    step, batches = compile_step(build_model(config)), repeat(random_batch(config))

    def take(count):
        for _ in range(count):
            logs = step(batches)
        float(logs["g_loss"])

    take(3)
    start = time.perf_counter()
    take(count)
    plain = (time.perf_counter() - start) / count * 1e3
    with tf.profiler.experimental.Profile(arguments.folder):
        take(count)
    return plain, next(Path(arguments.folder).rglob("*.xplane.pb"))


def operations(path):
    """{(kind, name): milliseconds} of the operations of a step."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    fastest = {}
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if "/" in name and " " not in name:  # not what surrounds the graph's operations
                key = kind.removeprefix("_Mkl").removeprefix("Native"), name.partition("/")[2]
                fastest[key] = min(event.duration_ps / 1e9, fastest.get(key, float("inf")))
    return fastest


def report(found, shown):
    """Print how long each kind of operation took, and the longest single ones."""
    kinds, calls = collections.Counter(), collections.Counter()
    for (kind, _), milliseconds in found.items():
        kinds[kind] += milliseconds
        calls[kind] += 1
    whole = sum(kinds.values())
    print(f"  {whole:.1f} ms in {len(found)} operations")
    for kind, milliseconds in kinds.most_common(shown):
        print(f"  {milliseconds:8.2f} ms {milliseconds / whole:6.1%} {calls[kind]:5} {kind}")
    print("the longest:")
    for (kind, name), milliseconds in collections.Counter(found).most_common(shown):
        print(f"  {milliseconds:8.2f} ms {milliseconds / whole:6.1%} {kind} {name[:90]}")


def main():
    whole = (False, "with all that the recipe asks for")
    arguments = turns.parse(__doc__, **OPTIONS, shown=(20, "lines of each table"), whole=whole)
    if arguments.threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(arguments.threads)
    plain, path = trace(arguments)
    print(f"{arguments.recipe} at width {arguments.width:g}: {plain:.1f} ms a step")
    print(turns.machine())
    report(operations(path), arguments.shown)


if __name__ == "__main__":
    main()
