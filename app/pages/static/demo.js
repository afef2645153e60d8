// The feed: reports what was seen and done, loads more by cursor, refreshes, and tells when a new generation serves.
"use strict";

const cards = document.getElementById("cards");
const more = document.getElementById("more");
const toast = document.getElementById("toast");
const strip = document.getElementById("strip");
const serving = document.getElementById("serving");
const closer = document.getElementById("closer");
const SEEN_SHARE = 0.5;
const REPORT_AFTER_MS = 800;
const LOOK_AGAIN_MS = 4000;

let generation = serving.dataset.generation;
let waiting = [];
let timer = 0;

function say(words) {
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { toast.hidden = true; }, 4000);
}

function address(path, extra) {
  const query = new URLSearchParams({ user: cards.dataset.user, lang: cards.dataset.language, ...extra });
  return `${path}?${query}`;
}

async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    keepalive: true,
  });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
}

async function fragment(path, extra) {
  const answer = await fetch(address(path, extra));
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.text();
}

function exposureOf(card) {
  return {
    exposure_id: card.dataset.exposure,
    post_id: card.dataset.post,
    position: Number(card.dataset.position),
    recommendation_id: card.dataset.recommendation,
    shown_at: card.dataset.shownAt,
  };
}

function note(card) {
  if (card.dataset.shownAt) return;
  card.dataset.shownAt = new Date().toISOString();
  waiting.push(exposureOf(card));
  clearTimeout(timer);
  timer = setTimeout(reportSeen, REPORT_AFTER_MS);
}

async function reportSeen() {
  clearTimeout(timer);
  const exposures = waiting;
  waiting = [];
  if (!exposures.length) return;
  try {
    await send("/demo/exposures", { user_id: cards.dataset.user, exposures });
  } catch (error) {
    waiting = exposures.concat(waiting); // the same ids again: harmless
    throw error;
  }
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      note(entry.target);
      watcher.unobserve(entry.target);
    }
  }
}, { threshold: SEEN_SHARE });

function watch() {
  for (const card of cards.querySelectorAll(".card:not([data-shown-at])")) watcher.observe(card);
  const tail = cards.querySelector(".tail:last-of-type");
  more.hidden = !tail || !tail.dataset.cursor;
}

function comeCloser(card) {
  const picture = card.querySelector(".picture img");
  document.getElementById("closer-picture").src = picture ? picture.src.replace("/thumbnails/", "/pictures/") : "/pages/static/icon.svg";
  document.getElementById("closer-title").textContent = card.querySelector("h2").textContent;
  closer.showModal();
}

async function act(card, kind) {
  note(card);
  for (const button of card.querySelectorAll(`.acts [data-kind="${kind}"], .not-interested[data-kind="${kind}"]`)) button.setAttribute("aria-pressed", "true");
  if (kind === "click") comeCloser(card);
  await reportSeen();
  await send("/demo/behaviours", {
    user_id: cards.dataset.user,
    behaviours: [{
      exposure_id: card.dataset.exposure,
      post_id: card.dataset.post,
      kind,
      at: new Date().toISOString(),
    }],
  });
  if (kind === "not_interested") card.classList.add("gone");
  if (kind !== "click") say(kind === "not_interested" ? cards.dataset.gone : cards.dataset.noted);
  strip.innerHTML = await fragment("/demo/strip");
}

async function load(extra) {
  cards.setAttribute("aria-busy", "true");
  toast.hidden = true;
  try {
    await reportSeen();
    const { category, city, radius } = cards.dataset;
    const html = await fragment("/demo/cards", { category, city, radius, ...extra });
    if (extra.cursor) {
      cards.querySelector(".tail:last-of-type").outerHTML = html;
    } else {
      cards.innerHTML = html;
      window.scrollTo(0, 0);
    }
    watch();
    await lookAgain();
  } finally {
    cards.removeAttribute("aria-busy");
  }
}

async function lookAgain() {
  const answer = await fetch(address("/demo/serving"));
  if (!answer.ok) return;
  const now = await answer.json();
  if (now.generation === generation) return;
  generation = now.generation;
  serving.dataset.generation = now.generation;
  document.getElementById("made-from").textContent = now.made_from;
  say(cards.dataset.turned);
}

function trying(work) {
  work.catch(() => say(cards.dataset.failed));
}

cards.addEventListener("click", (event) => {
  const button = event.target.closest("[data-kind]");
  if (button) trying(act(button.closest(".card"), button.dataset.kind));
});
// The feed goes on by itself when its end comes near; the button is for keyboards and for a lost connection.
function goOn() {
  const tail = cards.querySelector(".tail:last-of-type");
  if (cards.hasAttribute("aria-busy") || !tail || !tail.dataset.cursor) return;
  trying(load({ cursor: tail.dataset.cursor, from: cards.querySelectorAll(".card").length }));
}
more.addEventListener("click", goOn);
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting) && scrollY > 0) goOn();
}, { rootMargin: "600px" }).observe(more.parentElement);
for (const choice of document.querySelectorAll("[data-submits]")) {
  choice.addEventListener("change", () => choice.form.submit());
}

async function renewLive() {
  if (document.hidden) return;
  document.getElementById("live").innerHTML = await fragment("/demo/live");
  await lookAgain();
}
document.getElementById("refresh").addEventListener("click", () => trying(load({})));
document.getElementById("user").addEventListener("change", (event) => event.target.form.submit());
addEventListener("pagehide", () => { reportSeen().catch(() => undefined); });
setInterval(() => { renewLive().catch(() => undefined); }, LOOK_AGAIN_MS);
watch();
