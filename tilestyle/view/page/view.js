"use strict";

const element = (id) => document.getElementById(id);
const picture = element("picture");
const curtain = element("curtain");
const grid = element("grid");

/** Fetch what there is to show, and show it. */
async function start() {
  const answer = await fetch("view.json");
  if (!answer.ok) throw new Error(`view.json: ${answer.status}`);
  const view = await answer.json();
  document.title = `${view.title} - tilestyle`;
  element("title").textContent = view.title;
  const viewer = OpenSeadragon({
    element: picture,
    tileSources: view.pictures.map((name) => `${name}.dzi`),
    drawer: "canvas",
    showNavigationControl: false,
    keyboardNavEnabled: false, // its letters move, turn and mirror; ours are in `keys`
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    visibilityRatio: 0.2,
    maxZoomPixelRatio: 16,
    minZoomImageRatio: 0.5,
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.4,
    timeout: 600_000, // the first look at a gigapixel reads all of it
  });
  viewer.canvas.setAttribute("role", "application");
  viewer.canvas.setAttribute("aria-labelledby", "title");
  viewer.canvas.setAttribute("aria-description", "Question mark lists the keys");
  const actions = { ...navigation(viewer), ...overlays(view, viewer) };
  showStatus(viewer, view.pictures.length);
  showZoom(viewer);
  if (view.pictures.length > 1) Object.assign(actions, compare(viewer));
  listen(actions);
}

/** Keys that move and zoom. */
function navigation(viewer) {
  const { viewport } = viewer;
  const pan = (x, y) => {
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(x, y)));
    viewport.applyConstraints();
  };
  const zoom = (factor) => {
    viewport.zoomBy(factor);
    viewport.applyConstraints();
  };
  return {
    ArrowLeft: () => pan(-80, 0),
    ArrowRight: () => pan(80, 0),
    ArrowUp: () => pan(0, -80),
    ArrowDown: () => pan(0, 80),
    "+": () => zoom(1.5),
    "=": () => zoom(1.5), // plus without shift
    "-": () => zoom(1 / 1.5),
    0: () => viewport.goHome(),
    1: () => {
      const item = viewer.world.getItemAt(0);
      if (item) viewport.zoomTo(item.imageToViewportZoom(1 / devicePixelRatio));
    },
    "?": () => element("help").showModal(),
  };
}

/** Say whether tiles are under way or missing. */
function showStatus(viewer, count) {
  let failed = false;
  const say = () => {
    const { world } = viewer;
    let loaded = world.getItemCount() === count;
    for (let n = 0; n < world.getItemCount(); n++) loaded &&= world.getItemAt(n).getFullyLoaded();
    document.documentElement.dataset.loaded = loaded;
    element("status").textContent = failed ? "some tiles are missing" : loaded ? "" : "loading";
  };
  viewer.world.addHandler("add-item", ({ item }) => {
    item.addHandler("fully-loaded-change", say);
    say();
  });
  for (const event of ["open-failed", "tile-load-failed"]) {
    viewer.addHandler(event, () => {
      failed = true;
      say();
    });
  }
}

/** Show how many screen pixels an image pixel takes. */
function showZoom(viewer) {
  viewer.addHandler("update-viewport", () => {
    const item = viewer.world.getItemAt(0);
    if (!item) return;
    const zoom = 100 * devicePixelRatio * item.viewportToImageZoom(viewer.viewport.getZoom(true));
    element("zoom").textContent = `${zoom < 10 ? zoom.toFixed(1) : Math.round(zoom)} %`;
  });
}

/** Let the border between content and result be moved; returns its keys. */
function compare(viewer) {
  let share = 50; // percent of the window
  let clipped = "";
  const clip = () => {
    const item = viewer.world.getItemAt(1);
    if (!item) return;
    const { x: width, y: height } = item.getContentSize();
    const edge = new OpenSeadragon.Point((share / 100) * picture.clientWidth, 0);
    const border = item.viewerElementToImageCoordinates(edge).x;
    const left = Math.min(Math.max(border, 0), width);
    if (clipped === (clipped = String(left))) return;
    item.setOpacity(left < width ? 1 : 0);
    item.setClip(new OpenSeadragon.Rect(left, 0, width - left, height));
  };
  const move = (percent) => {
    share = Math.min(Math.max(percent, 0), 100);
    curtain.style.left = `${share}%`;
    curtain.setAttribute("aria-valuenow", Math.round(share));
    curtain.setAttribute("aria-valuetext", `${Math.round(share)} % content`);
    clip();
  };
  curtain.addEventListener("pointerdown", (event) => {
    curtain.setPointerCapture(event.pointerId);
    curtain.focus();
    event.preventDefault();
  });
  curtain.addEventListener("pointermove", (event) => {
    if (!curtain.hasPointerCapture(event.pointerId)) return;
    const { left, width } = picture.getBoundingClientRect();
    move((100 * (event.clientX - left)) / width);
  });
  const keys = {
    ArrowLeft: () => move(share - 2),
    ArrowRight: () => move(share + 2),
    ArrowDown: () => move(share - 2),
    ArrowUp: () => move(share + 2),
    PageDown: () => move(share - 10),
    PageUp: () => move(share + 10),
    Home: () => move(0),
    End: () => move(100),
  };
  curtain.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    keys[event.key]();
    event.preventDefault();
    event.stopPropagation();
  });
  for (const event of ["open", "viewport-change", "resize"]) viewer.addHandler(event, clip);
  viewer.world.addHandler("add-item", clip);
  curtain.hidden = false;
  move(share);
  return { "[": keys.ArrowLeft, "]": keys.ArrowRight };
}

/** Prepare the overlays that there are; returns their keys. */
function overlays(view, viewer) {
  const actions = {};
  const add = (key, layer, show = () => {}) => {
    const button = document.querySelector(`button[data-key="${key}"]`);
    button.hidden = false;
    actions[key] = () => {
      layer.hidden = !layer.hidden;
      button.setAttribute("aria-pressed", !layer.hidden);
      show();
    };
  };
  if (view.grid) {
    const draw = () => grid.hidden || drawGrid(view.grid, viewer);
    viewer.addHandler("update-viewport", draw);
    add("g", grid, draw);
  }
  if (view.styles.length) {
    const names = view.styles.map((name, n) => [name, n ? `Style ${n + 1}` : "Style"]);
    element("styles").append(...names.map(([source, label]) => figure(source, label)));
    add("s", element("styles"));
  }
  return actions;
}

function figure(source, label) {
  const frame = document.createElement("figure");
  const image = document.createElement("img");
  const caption = document.createElement("figcaption");
  image.src = source;
  image.alt = label;
  caption.textContent = label;
  frame.append(image, caption);
  return frame;
}

/** Draw the borders of the patches, and the bands in which they overlap. */
function drawGrid({ rows, columns }, viewer) {
  const item = viewer.world.getItemAt(0);
  if (!item) return;
  const ratio = devicePixelRatio;
  const context = grid.getContext("2d");
  grid.width = Math.round(grid.clientWidth * ratio); // this clears it too
  grid.height = Math.round(grid.clientHeight * ratio);
  const size = item.getContentSize();
  const place = (x, y) => {
    const point = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(x, y));
    return [point.x * ratio, point.y * ratio];
  };
  const [left, top] = place(0, 0);
  const [right, bottom] = place(size.x, size.y);
  const fill = (color, x0, y0, x1, y1) => {
    context.fillStyle = color;
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
  };
  for (const [border, first, last] of columns) {
    const [x, x0, x1] = [border, first, last].map((n) => place(n, 0)[0]);
    fill("rgb(255 184 77 / 0.18)", x0, top, x1, bottom);
    fill("rgb(255 184 77 / 0.9)", x - ratio / 2, top, x + ratio / 2, bottom);
  }
  for (const [border, first, last] of rows) {
    const [y, y0, y1] = [border, first, last].map((n) => place(0, n)[1]);
    fill("rgb(255 184 77 / 0.18)", left, y0, right, y1);
    fill("rgb(255 184 77 / 0.9)", left, y - ratio / 2, right, y + ratio / 2);
  }
}

/** Bind actions to keys and buttons. */
function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || element("help").open) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    action();
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("button[data-key]")) {
    button.addEventListener("click", () => actions[button.dataset.key]());
  }
}

start().catch((error) => {
  element("status").textContent = `cannot show it: ${error.message}`;
});
