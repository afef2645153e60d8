// Search by likeness: sends the chosen picture and the title, shows what comes back.
"use strict";

const form = document.getElementById("likeness");
const picture = document.getElementById("picture");
const preview = document.getElementById("preview");
const forget = document.getElementById("forget");
const found = document.getElementById("found");

// The policy of the page allows no blob: or data: pictures, so the chosen one is painted.
async function showPicture() {
  const file = picture.files[0];
  preview.hidden = forget.hidden = !file;
  if (!file) return;
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  preview.getContext("2d").drawImage(
    bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, preview.width, preview.height);
}

async function search() {
  found.setAttribute("aria-busy", "true");
  try {
    const title = document.getElementById("title").value;
    const answer = await fetch(`/admin/alike?${new URLSearchParams({ title })}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: picture.files[0] || null,
    });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    found.innerHTML = await answer.text();
  } catch {
    found.textContent = form.dataset.failed;
  } finally {
    found.removeAttribute("aria-busy");
  }
}

picture.addEventListener("change", () => { showPicture().catch(() => { preview.hidden = true; }); });
forget.addEventListener("click", () => {
  picture.value = "";
  preview.hidden = forget.hidden = true;
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
