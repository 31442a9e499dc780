// The latent of a recipe, as in latent_formula.py, and NumPy's latent of a seed.

// numpy.random.RandomState(seed).randn(length) as float32: the Mersenne Twister of Matsumoto and
// Nishimura 1998 with 53-bit numbers, and Marsaglia's polar method for pairs of normal numbers.
function seedLatent(seed, length) {
  const N = 624, state = new Uint32Array(N);
  state[0] = seed;
  for (let k = 1; k < N; k += 1) state[k] = Math.imul(1812433253, state[k - 1] ^ (state[k - 1] >>> 30)) + k;
  let at = N;
  function word() {
    if (at === N) {
      for (let k = 0; k < N; k += 1) {
        const joined = (state[k] & 0x80000000) | (state[(k + 1) % N] & 0x7fffffff);
        state[k] = state[(k + 397) % N] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at];
    at += 1;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
  const uniform = () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
  const found = new Float32Array(length);
  for (let k = 0; k < length; k += 2) {
    let first, second, square;
    do {
      first = 2 * uniform() - 1;
      second = 2 * uniform() - 1;
      square = first * first + second * second;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    found[k] = factor * second;
    if (k + 1 < length) found[k + 1] = factor * first;
  }
  return found;
}

const dot = (one, other) => one.reduce((sum, value, k) => sum + value * other[k], 0);
const lengthOf = (vector) => Math.sqrt(dot(vector, vector));

function slerp(start, end, t) { // models/sampling.py
  const cosine = dot(start, end) / Math.max(lengthOf(start) * lengthOf(end), 1e-12);
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1)), sine = Math.sin(angle);
  const [first, second] = sine < 1e-6 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return start.map((value, k) => first * value + second * end[k]);
}

// labels: {names, classes, on} of page.py, or null

function readLabel(text, { names, classes }) { // {place of a name: 0 or 1} for those that it decides; null if it is no label
  if (!text) return {};
  const place = (name) => names.indexOf(name);
  if (classes) return place(text) < 0 ? null : Object.fromEntries(names.map((_, k) => [k, Number(k === place(text))]));
  const parts = text.split(",").map((part) => /^(.+)=([01])$/.exec(part));
  return parts.every((part) => part && place(part[1]) >= 0) ? Object.fromEntries(parts.map(([, name, bit]) => [place(name), Number(bit)])) : null;
}

function labelText(tail, { names, classes }) { // inverse of readLabel, for a label that decides all names
  return classes ? names[tail.indexOf(1)] : names.map((name, k) => `${name}=${tail[k]}`).join();
}

function seedLabel(seed, text, labels) { // the end of a seed's latent
  const given = readLabel(text, labels), on = labels.on[seed % labels.on.length];
  return labels.names.map((_, k) => given[k] ?? Number(on.includes(k)));
}

// directions: [{name, reach, vector}]; returns a Float32Array
function latentOf({ a = [], b = [], c = [], d = [], way = 0, along = {}, truncation = 1, label = "" }, length, directions, labels = null) {
  const normal = length - (labels ? labels.names.length : 0);
  const mean = (seeds) => {
    const sum = new Float64Array(length);
    for (const seed of seeds) {
      seedLatent(seed, normal).forEach((value, k) => { sum[k] += Math.fround(Math.fround(truncation) * value); });
      if (labels) seedLabel(seed, "", labels).forEach((value, k) => { sum[normal + k] += value; });
    }
    return seeds.length ? sum.map((value) => value / seeds.length) : sum;
  };
  const [minus, plus, end] = [mean(b), mean(c), mean(d)];
  let made = mean(a).map((value, k) => value - minus[k] + plus[k]);
  if (d.length) {
    const mixed = slerp(made.subarray(0, normal), end.subarray(0, normal), way);
    made = made.map((value, k) => (k < normal ? mixed[k] : (1 - way) * value + way * end[k]));
  }
  if (labels) {
    const tail = made.subarray(normal).map((value) => Math.min(Math.max(value, 0), 1));
    const sum = labels.classes ? Math.max(tail.reduce((total, value) => total + value), 1) : 1;
    made.set(tail.map((value) => value / sum), normal);
    for (const [place, bit] of Object.entries(readLabel(label, labels))) made[normal + Number(place)] = bit;
  }
  for (const [name, amount] of Object.entries(along)) {
    const { reach, vector } = directions.find((one) => one.name === name);
    made = made.map((value, k) => value + amount * reach * vector[k]);
  }
  return Float32Array.from(made);
}
