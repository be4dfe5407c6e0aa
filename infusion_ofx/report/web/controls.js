// Mouse, keyboard, sliders and links of the viewer; every key is listed on the page.

const byId = (id) => document.getElementById(id);

function keys(viewer) {
  const { look } = viewer;
  return {
    ArrowRight: () => viewer.show(viewer.place + 1),
    ArrowLeft: () => viewer.show(viewer.place - 1),
    Home: () => viewer.show(0),
    End: () => viewer.show(viewer.frames.length - 1),
    ArrowUp: () => viewer.set({ stops: look.stops + 0.5 }),
    ArrowDown: () => viewer.set({ stops: look.stops - 0.5 }),
    ",": () => viewer.set({ wipe: look.wipe - 0.02 }),
    ".": () => viewer.set({ wipe: look.wipe + 0.02 }),
    " ": () => viewer.play(),
    o: () => viewer.set({ outline: !look.outline }),
    z: () => viewer.zoom(),
    0: () => viewer.set({ stops: 0, gamma: 1, wipe: 0.5 }),
    ...Object.fromEntries(MODES.map((mode, i) => [i + 1, () => viewer.set({ mode })])),
  };
}

function onKey(viewer, event) {
  // A slider that has the focus has its own use for the arrows.
  if (event.target.matches("input[type=range], select") || event.ctrlKey || event.metaKey) return;
  const action = keys(viewer)[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function onMove(viewer, event) {
  const box = viewer.canvas.getBoundingClientRect();
  viewer.set({ wipe: (event.clientX - box.left) / box.width });
}

function onHash(viewer) {
  const found = /frame=(-?\d+)/.exec(location.hash);
  const place = found ? viewer.frames.indexOf(Number(found[1])) : -1;
  return viewer.show(place < 0 ? viewer.place : place);
}

function connect(viewer) {
  document.addEventListener("keydown", (event) => onKey(viewer, event));
  viewer.canvas.addEventListener("pointermove", (event) => onMove(viewer, event));
  addEventListener("hashchange", () => onHash(viewer));
  addEventListener("resize", () => { viewer.fit(); viewer.tell(); });
  byId("scrubber").max = viewer.frames.length - 1;
  byId("scrubber").addEventListener("input", (e) => viewer.show(Number(e.target.value)));
  byId("stops").addEventListener("input", (e) => viewer.set({ stops: Number(e.target.value) }));
  byId("gamma").addEventListener("input", (e) => viewer.set({ gamma: Number(e.target.value) }));
  byId("mode").addEventListener("input", (e) => viewer.set({ mode: e.target.value }));
  byId("outline").addEventListener("input", (e) => viewer.set({ outline: e.target.checked }));
  byId("play").addEventListener("click", () => viewer.play());
  byId("zoom").addEventListener("click", () => viewer.zoom());
}

if (byId("manifest")) {
  const viewer = new Viewer(JSON.parse(byId("manifest").textContent));
  connect(viewer);
  onHash(viewer);
}
