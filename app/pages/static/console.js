// The console's small conveniences: forms that go at a choice, questions before what cannot be undone, tables that renew.
"use strict";

const RENEW_MS = 3000;

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.submit();
});

document.addEventListener("submit", (event) => {
  const question = event.submitter && event.submitter.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

async function renew(part) {
  if (!part.querySelector(".state-running, .state-queued")) return;
  const answer = await fetch(part.dataset.renews);
  if (answer.ok) part.innerHTML = await answer.text();
}

for (const part of document.querySelectorAll("[data-renews]")) {
  setInterval(() => { renew(part).catch(() => undefined); }, RENEW_MS);
}

const current = document.querySelector(".rooms [aria-current]");
if (current) current.parentElement.parentElement.scrollLeft = current.offsetLeft - 24;
