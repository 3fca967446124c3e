// The scene: what `pack.py` writes.

const HEADER = 24, TEXEL = 16;

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).arrayBuffer();
}

function decoded(base64) {
  return Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
}

// {count, degree, ranges, texels (of a Gaussian), rows (all texels), positions} of a file's bytes,
// in which the first bytes of all rows come first, then the second ones, and so on.
function opened(buffer) {
  const header = new DataView(buffer, 0, HEADER), bytes = new Uint8Array(buffer, HEADER);
  const count = header.getUint32(0, true), degree = header.getUint32(4, true);
  const ranges = [8, 12, 16, 20].map(place => header.getFloat32(place, true));
  const width = bytes.length / count;
  const rows = new Uint8Array(bytes.length), positions = new Float32Array(3 * count);
  for (let column = 0; column < width; column++)
    for (let i = 0, to = column, from = column * count; i < count; i++, to += width, from++)
      rows[to] = bytes[from];
  const floats = new Float32Array(rows.buffer);
  for (let i = 0, from = 0; i < count; i++, from += width / 4)
    for (let j = 0; j < 3; j++) positions[3 * i + j] = floats[from + j];
  return {count, degree, ranges, texels: width / TEXEL, rows, positions};
}
