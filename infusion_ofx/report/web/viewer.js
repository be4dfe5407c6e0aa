// The viewer: which frame, which layer, which look; mouse, keyboard and controls set them.

const KEPT = 48; // unpacked frames that are held, so that playing again costs nothing

class Viewer {
  constructor(manifest) {
    this.manifest = manifest;
    this.place = 0;
    this.kept = new Map();
    this.unpack("shot", this.frame); // goes on beside what follows, which takes long
    this.canvas = document.getElementById("picture");
    const flat = location.hash.includes("2d");
    this.painters = painter(this.canvas, flat);
    this.canvas = document.getElementById("picture"); // it may have been replaced
    this.canvas.dataset.painter = this.painters.constructor.name;
    this.look = { mode: "wipe", wipe: 0.5, stops: 0, gamma: 1, outline: false };
    this.layer = "shot";
    this.scale = 1;
    this.playing = false;
  }

  get frames() {
    return this.manifest.frames;
  }

  get frame() {
    return this.frames[this.place];
  }

  async unpack(layer, number) {
    const key = `${layer}-${number}`;
    if (!this.kept.has(key)) {
      this.kept.set(key, unpacked(this.manifest.layers[layer], layer, number));
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(key);
  }

  // Not every frame has its region at 1:1; the whole frame is shown for one that has none.
  shownLayer() {
    const has = this.layer === "shot" || this.frame in this.manifest.layers.region.frames;
    return has ? this.layer : "shot";
  }

  async show(place) {
    this.place = Math.min(Math.max(place, 0), this.frames.length - 1);
    const wanted = `${this.shownLayer()}-${this.frame}`;
    this.wanted = wanted;
    const frame = await this.unpack(this.shownLayer(), this.frame);
    if (this.wanted !== wanted) return; // another was asked for meanwhile
    if (this.canvas.width !== frame.width || this.canvas.height !== frame.height) {
      this.canvas.width = frame.width;
      this.canvas.height = frame.height;
    }
    this.painters.load(frame);
    this.fit();
    this.draw();
  }

  // The whole frame fits the window, so that the controls below it stay in sight. 1:1 means a
  // pixel of the file on a pixel of the screen, whatever the browser's zoom.
  fit() {
    const { canvas } = this;
    const exact = this.shownLayer() === "region";
    const room = Math.min(
      canvas.parentElement.clientWidth, (0.6 * innerHeight * canvas.width) / canvas.height);
    const width = exact ? (this.scale * canvas.width) / devicePixelRatio : room;
    canvas.style.width = `${width}px`;
    canvas.classList.toggle("exact", exact);
  }

  draw() {
    this.painters.draw(this.look);
    this.canvas.dataset.shown = `${this.shownLayer()}-${this.frame}`;
    this.tell();
  }

  set(changes) {
    Object.assign(this.look, changes);
    this.look.wipe = Math.min(Math.max(this.look.wipe, 0), 1);
    this.look.stops = Math.min(Math.max(this.look.stops, -10), 10);
    if (this.canvas.dataset.shown) this.draw();
  }

  zoom() {
    const steps = [["shot", 1], ["region", 1], ["region", 4]];
    const now = steps.findIndex(([layer, scale]) => layer === this.layer && scale === this.scale);
    const count = Object.keys(this.manifest.layers.region.frames).length ? steps.length : 1;
    [this.layer, this.scale] = steps[(now + 1) % count];
    this.show(this.place);
  }

  play() {
    this.playing = !this.playing;
    this.tell();
    if (this.playing) this.tick(performance.now());
  }

  async tick(before) {
    if (!this.playing) return;
    await this.show((this.place + 1) % this.frames.length);
    const rest = Math.max(0, before + 1000 / this.manifest.rate - performance.now());
    setTimeout(() => this.tick(performance.now()), rest);
  }

  zoomSaid() {
    if (this.shownLayer() === "region") return `region ${this.scale}:1`;
    return this.layer === "region" ? "whole frame: no 1:1 pixels of it" : "whole frame";
  }

  // What is said of the frame, and the controls as they stand.
  tell() {
    const { look } = this;
    const set = (id, value) => { document.getElementById(id).value = value; };
    const say = (id, text) => { document.getElementById(id).textContent = text; };
    set("scrubber", this.place);
    set("stops", look.stops);
    set("gamma", look.gamma);
    set("mode", look.mode);
    document.getElementById("outline").checked = look.outline;
    say("frame", `frame ${this.frame} of ${this.frames[0]}–${this.frames.at(-1)}`);
    say("stopsaid", `${look.stops > 0 ? "+" : ""}${look.stops} stops`);
    say("gammasaid", `gamma ${look.gamma}`);
    say("zoomsaid", this.zoomSaid());
    say("play", this.playing ? "stop" : "play");
    say("checked", this.manifest.said[this.frame]);
    const { offsetLeft, clientWidth, clientHeight } = this.canvas;
    const [line, sides] = ["line", "sides"].map((id) => document.getElementById(id));
    line.hidden = sides.hidden = look.mode !== "wipe";
    line.style.left = `${offsetLeft + look.wipe * clientWidth}px`;
    line.style.height = `${clientHeight}px`;
    sides.style.left = `${offsetLeft}px`;
    sides.style.width = `${clientWidth}px`;
  }
}
