// Images from the generator in this page, by onnxruntime-web (`ort`) on the CPU.

const MOST = 4; // recipes per call; the page responds between calls
const DRAFTS = false;
const LINKS = ""; // links work as long as this file is not moved

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
const block = (id) => squeezed(fromBase64(document.getElementById(id).textContent), "gzip", DecompressionStream);

// data: as for by_server.js
function painter({ height, width, channels, latent_dim, labels, range, directions }) {
  const known = directions.map((one) => ({ ...one, vector: new Float32Array(fromBase64(one.vector).buffer) }));

  async function start() {
    const [glue, binary, model] = await Promise.all(["glue", "binary", "model"].map(block));
    const address = URL.createObjectURL(new Blob([glue], { type: "text/javascript" }));
    Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: binary.buffer, wasmPaths: { mjs: address } });
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    URL.revokeObjectURL(address);
    return session;
  }

  async function made(session, recipes) {
    const latents = recipes.map((recipe) => latentOf(recipe, latent_dim, known, labels));
    const all = new Float32Array(recipes.length * latent_dim);
    latents.forEach((latent, place) => all.set(latent, place * latent_dim));
    const [images] = Object.values(await session.run({ latents: new ort.Tensor("float32", all, [recipes.length, latent_dim]) }));
    if (!images.data.every(Number.isFinite)) throw new Error("the generator returns NaN or infinite pixels for these latents");
    const size = height * width * channels;
    const level = range === "sigmoid" ? (value) => value * 255 : (value) => (value + 1) * 127.5;
    const pixels = Uint8Array.from(images.data, (value) => Math.round(Math.min(Math.max(level(value), 0), 255)));
    return latents.map((latent, place) => ({ pixels: pixels.subarray(place * size, (place + 1) * size), norm: lengthOf(latent.subarray(0, latent_dim - (labels ? labels.names.length : 0))) }));
  }

  let session = null, last = Promise.resolve();
  return (recipes) => { // in turn: a session runs one call at a time
    session = session || start();
    const answer = last.then(async () => {
      await new Promise((resolve) => { setTimeout(resolve); }); // lets the page respond first
      return made(await session, recipes);
    });
    last = answer.catch(() => {});
    return answer;
  };
}
