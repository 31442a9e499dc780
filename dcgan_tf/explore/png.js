// Writes a PNG with text keys from the pixels; a canvas may return other pixels.

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

async function squeezed(bytes, kind, Stream) {
  const stream = new Blob([bytes]).stream().pipeThrough(new Stream(kind));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// image: {pixels: Uint8Array of height x width x channels, height, width, channels}; texts: {key: text}
async function toPng({ pixels, height, width, channels }, texts) {
  const big = (number) => [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
  const bytes = (text) => new TextEncoder().encode(text);
  function chunk(name, content) {
    const body = new Uint8Array([...bytes(name), ...content]);
    const crc = body.reduce((sum, byte) => CRC[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff);
    return new Uint8Array([...big(content.length), ...body, ...big(~crc >>> 0)]);
  }
  const row = width * channels, rows = new Uint8Array(height * (row + 1)); // a filter byte, 0, before each
  for (let y = 0; y < height; y += 1) rows.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  return new Blob([
    new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", [...big(width), ...big(height), 8, channels === 1 ? 0 : 2, 0, 0, 0]),
    ...Object.entries(texts).map(([key, text]) => chunk("iTXt", [...bytes(key), 0, 0, 0, 0, 0, ...bytes(text)])),
    chunk("IDAT", await squeezed(rows, "deflate", CompressionStream)),
    chunk("IEND", []),
  ], { type: "image/png" });
}
