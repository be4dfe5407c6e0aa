// Two painters of one frame: WebGL2 on half-float textures, and a 2D canvas where that is missing.
// Both show the same: light times 2^stops, to the power 1/gamma, the sRGB curve, held to 0..1.

const MODES = ["wipe", "plate", "result", "difference", "matte"];

const VERTEX = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D plate, result, matte;
uniform int mode;
uniform float wipe, gain, power;
uniform bool outline;
out vec4 colour;

float cover(ivec2 at, ivec2 size) {
  return texelFetch(matte, clamp(at, ivec2(0), size - 1), 0).r;
}

bool edge(ivec2 at, ivec2 size) {
  if (cover(at, size) == 0.0) return false;
  return cover(at + ivec2(1, 0), size) == 0.0 || cover(at - ivec2(1, 0), size) == 0.0
      || cover(at + ivec2(0, 1), size) == 0.0 || cover(at - ivec2(0, 1), size) == 0.0;
}

vec3 coded(vec3 light) {
  if (any(isnan(light))) return vec3(1.0, 0.0, 1.0);
  vec3 shown = clamp(pow(max(light * gain, 0.0), vec3(power)), 0.0, 1.0);
  return mix(1.055 * pow(shown, vec3(1.0 / 2.4)) - 0.055, 12.92 * shown,
             lessThanEqual(shown, vec3(0.0031308)));
}

void main() {
  ivec2 size = textureSize(plate, 0);
  ivec2 at = ivec2(int(gl_FragCoord.x), size.y - 1 - int(gl_FragCoord.y));
  vec3 before = texelFetch(plate, at, 0).rgb, after = texelFetch(result, at, 0).rgb;
  bool left = gl_FragCoord.x < wipe * float(size.x);
  vec3 light = mode == 1 || (mode == 0 && left) ? before : after;
  if (mode == 3) light = abs(after - before);
  colour = vec4(mode == 4 ? vec3(cover(at, size)) : coded(light), 1.0);
  if (outline && edge(at, size)) colour = vec4(1.0, 0.85, 0.0, 1.0);
}`;

function program(gl) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw Error(gl.getProgramInfoLog(made));
  return made;
}

function texture(gl, unit) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
    gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
  }
  for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, axis, gl.CLAMP_TO_EDGE);
  }
}

class GlPainter {
  constructor(canvas) {
    // Kept, so that a screenshot or a test finds the picture after it was shown.
    const gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw Error("this browser has no WebGL2");
    this.gl = gl;
    this.made = program(gl);
    gl.useProgram(this.made);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    ["plate", "result", "matte"].forEach((name, unit) => {
      texture(gl, unit);
      gl.uniform1i(this.at(name), unit);
    });
  }

  at(name) {
    return this.gl.getUniformLocation(this.made, name);
  }

  load(frame) {
    const { gl } = this;
    const fill = (unit, inside, format, type, data) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.texImage2D(
        gl.TEXTURE_2D, 0, inside, frame.width, frame.height, 0, format, type, data);
    };
    fill(0, gl.RGB16F, gl.RGB, gl.HALF_FLOAT, frame.plate);
    fill(1, gl.RGB16F, gl.RGB, gl.HALF_FLOAT, frame.result);
    fill(2, gl.R8, gl.RED, gl.UNSIGNED_BYTE, frame.matte);
    gl.viewport(0, 0, frame.width, frame.height);
  }

  draw(look) {
    const { gl } = this;
    gl.uniform1i(this.at("mode"), MODES.indexOf(look.mode));
    gl.uniform1f(this.at("wipe"), look.wipe);
    gl.uniform1f(this.at("gain"), 2 ** look.stops);
    gl.uniform1f(this.at("power"), 1 / look.gamma);
    gl.uniform1i(this.at("outline"), look.outline ? 1 : 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

function lightOf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const power = (half >> 10) & 31;
  const part = half & 1023;
  if (power === 31) return part ? NaN : sign * Infinity;
  return sign * (power ? 2 ** (power - 15) * (1 + part / 1024) : 2 ** -14 * (part / 1024));
}

class FlatPainter {
  constructor(canvas) {
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.light = Float32Array.from({ length: 65536 }, (_, half) => lightOf(half));
  }

  load(frame) {
    this.frame = frame;
    this.image = this.context.createImageData(frame.width, frame.height);
  }

  coded(light, look) {
    const shown = Math.min(Math.max(light * 2 ** look.stops, 0) ** (1 / look.gamma), 1);
    const code = shown <= 0.0031308 ? 12.92 * shown : 1.055 * shown ** (1 / 2.4) - 0.055;
    return Math.round(255 * code);
  }

  // Every half's code, worked out once for a look: a frame is then only looked up.
  table(look) {
    const key = `${look.stops} ${look.gamma}`;
    if (this.key !== key) {
      this.codes = Uint8ClampedArray.from(this.light, (light) => this.coded(light, look));
      this.key = key;
    }
    return this.codes;
  }

  edge(i) {
    const { matte, width, height } = this.frame;
    const x = i % width;
    const open = (near, inside) => inside && matte[near] === 0;
    return matte[i] > 0 && (
      open(i + 1, x + 1 < width) || open(i - 1, x > 0)
      || open(i + width, i + width < width * height) || open(i - width, i >= width));
  }

  put(i, look, codes) {
    const { plate, result, matte, width } = this.frame;
    const data = this.image.data;
    const left = (i % width) + 0.5 < look.wipe * width;
    const from = look.mode === "plate" || (look.mode === "wipe" && left) ? plate : result;
    for (let c = 0; c < 3; c++) {
      const at = 3 * i + c;
      if (look.mode === "matte") data[4 * i + c] = matte[i];
      else if (look.mode !== "difference") data[4 * i + c] = codes[from[at]];
      else {
        const apart = Math.abs(this.light[result[at]] - this.light[plate[at]]);
        data[4 * i + c] = this.coded(apart, look);
      }
    }
    const seen = look.mode === "difference" ? [plate, result] : [from];
    const odd = (pixels) => [0, 1, 2].some((c) => Number.isNaN(this.light[pixels[3 * i + c]]));
    if (look.mode !== "matte" && seen.some(odd)) data.set([255, 0, 255], 4 * i);
    if (look.outline && this.edge(i)) data.set([255, 217, 0], 4 * i);
    data[4 * i + 3] = 255;
  }

  draw(look) {
    const codes = this.table(look);
    const count = this.frame.width * this.frame.height;
    for (let i = 0; i < count; i++) this.put(i, look, codes);
    this.context.putImageData(this.image, 0, 0);
  }
}

function painter(canvas, flat) {
  if (flat) return new FlatPainter(canvas);
  try {
    return new GlPainter(canvas);
  } catch (reason) {
    console.info(`drawn without WebGL: ${reason.message}`);
    // A canvas that was asked for WebGL gives no 2D context any more.
    const fresh = canvas.cloneNode();
    canvas.replaceWith(fresh);
    return new FlatPainter(fresh);
  }
}
