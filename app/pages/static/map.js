// The map of the posts: dots from afar, pictures from near. Wheel, drag, pinch, buttons and keys move it.
"use strict";

const box = document.getElementById("map");
const canvas = document.getElementById("canvas");
const tip = document.getElementById("tip");
const pen = canvas.getContext("2d");
const COLOURS = ["#0f8074", "#c2571a", "#4c62b8", "#a8338a", "#6f8a1d", "#b3303c", "#1f86b8", "#8a6a12", "#6b4fb3", "#5d6a72"];
const RATES = ["#3b4cc0", "#7b9ff9", "#c0d4f5", "#f2cbb7", "#ee8468", "#b40426"];
const NO_RATE = "#9a9a9a";
const PICTURE_FROM = 3; // times the whole map
const ZOOM_MOST = 60;
const pictures = new Map();
let posts = [], highestRate = 0, colour = "category";
let zoom = 1, middle = { x: 0, y: 0 }, pressed = new Map(), moved = false, frame = 0, chosen = null;

function scale() { return Math.min(canvas.clientWidth, canvas.clientHeight) * 0.46 * zoom; }
function place(post) {
  return {
    x: canvas.clientWidth / 2 + (post.x - middle.x) * scale(),
    y: canvas.clientHeight / 2 - (post.y - middle.y) * scale(),
  };
}
function colourOf(post) {
  if (colour === "category") return COLOURS[post.category % COLOURS.length];
  if (post.rate === null || !highestRate) return NO_RATE;
  return RATES[Math.min(RATES.length - 1, Math.floor((post.rate / highestRate) * RATES.length))];
}

function pictureOf(post) {
  if (!post.picture) return null;
  let image = pictures.get(post.picture);
  if (!image) {
    image = new Image();
    image.addEventListener("load", paintSoon);
    image.src = post.picture;
    pictures.set(post.picture, image);
  }
  return image.complete && image.naturalWidth ? image : null;
}

function paint() {
  frame = 0;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const side = zoom < PICTURE_FROM ? 0 : Math.min(72, 9 * zoom);
  for (const post of posts) {
    const { x, y } = place(post);
    if (x < -40 || y < -40 || x > width + 40 || y > height + 40) continue;
    const image = side ? pictureOf(post) : null;
    pen.fillStyle = pen.strokeStyle = colourOf(post);
    if (image) {
      pen.drawImage(image, x - side / 2, y - side / 2, side, side);
      pen.lineWidth = 2;
      pen.strokeRect(x - side / 2, y - side / 2, side, side);
    } else {
      pen.globalAlpha = 0.8;
      pen.beginPath();
      pen.arc(x, y, 3.2 + Math.min(3, zoom / 2), 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
    }
  }
}
function paintSoon() { frame = frame || requestAnimationFrame(paint); }

function nearest(x, y, within) {
  let best = null, least = within * within;
  for (const post of posts) {
    const at = place(post);
    const far = (at.x - x) ** 2 + (at.y - y) ** 2;
    if (far < least) [best, least] = [post, far];
  }
  return best;
}

function tell(post) {
  chosen = post;
  tip.hidden = !post;
  if (!post) return;
  const rate = post.rate === null ? "" : ` · ${(100 * post.rate).toFixed(1)} %`;
  tip.textContent = post.title + rate;
  const { x, y } = place(post);
  tip.style.left = `${Math.max(4, Math.min(x + 10, canvas.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, y - 40)}px`;
}

function zoomBy(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const before = scale();
  zoom = Math.max(1, Math.min(ZOOM_MOST, zoom * factor));
  const shift = 1 / before - 1 / scale();
  middle.x += (x - canvas.clientWidth / 2) * shift;
  middle.y -= (y - canvas.clientHeight / 2) * shift;
  if (zoom === 1) middle = { x: 0, y: 0 };
  tell(null);
  paintSoon();
}
function moveBy(x, y) {
  middle.x -= x / scale();
  middle.y += y / scale();
  tell(null);
  paintSoon();
}
function at(event) {
  const edge = canvas.getBoundingClientRect();
  return { x: event.clientX - edge.left, y: event.clientY - edge.top };
}
function spread() {
  const [one, two] = [...pressed.values()];
  return Math.hypot(one.x - two.x, one.y - two.y);
}

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { x, y } = at(event);
  zoomBy(Math.exp(-event.deltaY / 400), x, y);
}, { passive: false });
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pressed.set(event.pointerId, at(event));
  moved = false;
});
canvas.addEventListener("pointermove", (event) => {
  const now = at(event);
  const last = pressed.get(event.pointerId);
  if (!last) { tell(nearest(now.x, now.y, 24)); return; }
  const before = pressed.size === 2 ? spread() : 0;
  pressed.set(event.pointerId, now);
  if (pressed.size === 2) zoomBy(spread() / before, now.x, now.y);
  else moveBy(now.x - last.x, now.y - last.y);
  moved = moved || Math.hypot(now.x - last.x, now.y - last.y) > 2;
});
canvas.addEventListener("pointerup", (event) => {
  pressed.delete(event.pointerId);
  const { x, y } = at(event);
  const post = moved ? null : nearest(x, y, 24);
  if (post && event.pointerType !== "mouse" && post !== chosen) tell(post);
  else if (post) location.assign(post.url);
});
canvas.addEventListener("pointercancel", (event) => pressed.delete(event.pointerId));
canvas.addEventListener("keydown", (event) => {
  const step = 60;
  const keys = {
    ArrowLeft: () => moveBy(step, 0), ArrowRight: () => moveBy(-step, 0), ArrowUp: () => moveBy(0, step),
    ArrowDown: () => moveBy(0, -step), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
    Enter: () => { const post = nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, 1e6); if (post) location.assign(post.url); },
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
  if (event.key !== "Enter") tell(nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, 200));
});
document.getElementById("closer").addEventListener("click", () => zoomBy(1.6));
document.getElementById("farther").addEventListener("click", () => zoomBy(1 / 1.6));
document.getElementById("whole").addEventListener("click", () => zoomBy(0));
for (const choice of document.querySelectorAll("[name=colour]")) {
  choice.addEventListener("change", () => { colour = choice.value; legend(); paintSoon(); });
}
addEventListener("resize", paintSoon);

let categories = [];
function legend() {
  const rates = RATES.map((one, place) => [one, `${((100 * highestRate * place) / RATES.length).toFixed(0)} %+`]);
  const entries = colour === "category" ? categories.map((word, place) => [COLOURS[place % COLOURS.length], word]) : rates;
  document.getElementById("legend").replaceChildren(...entries.map(([ink, word]) => {
    const item = document.createElement("li");
    const dot = document.createElement("i");
    dot.style.background = ink;
    item.append(dot, word);
    return item;
  }));
}

async function load() {
  const answer = await fetch("/admin/map.json");
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  const found = await answer.json();
  posts = found.posts;
  categories = found.categories;
  const rates = posts.map((post) => post.rate).filter((rate) => rate !== null).sort((one, two) => one - two);
  highestRate = rates.length ? rates[Math.floor(rates.length * 0.95)] : 0;
  const share = (100 * found.kept_share).toFixed(0);
  document.getElementById("kept").textContent =
    box.dataset.kept.replace("{share}", share).replace("{count}", `${posts.length} / ${found.living}`);
  legend();
  paintSoon();
  box.dataset.ready = "yes";
}
load().catch(() => { document.getElementById("kept").textContent = box.dataset.failed; });
