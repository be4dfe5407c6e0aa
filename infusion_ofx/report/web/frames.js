// Frames as report/pack.py writes them: base64, deflate, then halves as zigzag differences to the
// left neighbour, one channel after the other, all high bytes before all low bytes.

async function inflated(text) {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const { readable, writable } = new DecompressionStream("deflate");
  const writer = writable.getWriter(); // a Blob would go through another process first
  writer.write(packed);
  writer.close();
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

function halves(bytes, at, height, width, shift) {
  const count = 3 * height * width;
  const found = new Uint16Array(count);
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      let value = 0;
      for (let x = 0; x < width; x++) {
        const i = (channel * height + y) * width + x;
        const zigzag = (bytes[at + i] << 8) | bytes[at + count + i];
        value = (value + ((zigzag >> 1) ^ -(zigzag & 1))) & 0xffff;
        found[3 * (y * width + x) + channel] = value << shift;
      }
    }
  }
  return found;
}

// The page is shown while its frames still arrive. A block is whole once something follows it.
async function arrived(id) {
  for (;;) {
    const complete = document.readyState !== "loading";
    const block = document.getElementById(id);
    if (block && (complete || block.nextSibling)) return block.textContent;
    if (complete) throw Error(`the page holds no ${id}`);
    await new Promise((resume) => { setTimeout(resume, 10); });
  }
}

// A layer is all frames of one size: {width, height, shift, frames: {number: [top, left, h, w]}}.
async function unpacked(layer, name, number) {
  const bytes = await inflated(await arrived(`${name}-${number}`));
  const { width, height, shift } = layer;
  const [top, left, tall, wide] = layer.frames[number];
  const plate = halves(bytes, 0, height, width, shift);
  const inner = halves(bytes, 2 * plate.length, tall, wide, shift);
  const result = plate.slice();
  const matte = new Uint8Array(width * height);
  const covered = bytes.subarray(2 * (plate.length + inner.length));
  for (let y = 0; y < tall; y++) {
    const row = (top + y) * width + left;
    result.set(inner.subarray(3 * y * wide, 3 * (y + 1) * wide), 3 * row);
    matte.set(covered.subarray(y * wide, (y + 1) * wide), row);
  }
  return { width, height, plate, result, matte };
}
