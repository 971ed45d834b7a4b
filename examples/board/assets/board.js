// The board works without this file. With it, posts and replies appear as they are written, counters grow, and the page knows how
// many people look at it.
"use strict";

const posts = document.getElementById("posts");
const replies = document.getElementById("replies");
const presence = document.querySelector(".presence");
const people = document.getElementById("people");

// Times, as people say them.
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const units = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(then) {
  const seconds = (then - Date.now()) / 1000;
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

function tellTimes(root) {
  for (const el of root.querySelectorAll("time")) {
    if (!el.title) el.title = el.textContent;
    el.textContent = ago(new Date(el.dateTime));
  }
}

// What happens on the page.
function add(list, html, id, first) {
  if (!list || document.getElementById(id)) return;
  const template = document.createElement("template");
  template.innerHTML = html; // escaped by the server, which wrote the rest of the page in the same way
  tellTimes(template.content);
  const card = template.content.firstElementChild;
  card.classList.add("arrives");
  if (first) list.prepend(card);
  else list.append(card);
}

function count(id, kind) {
  for (const el of document.querySelectorAll(`[data-post="${CSS.escape(id)}"] [data-count="${kind}"]`)) {
    const number = el.querySelector("b");
    const n = Number(number.textContent) + 1;
    number.textContent = n;
    el.querySelector("span").textContent = n === 1 ? el.dataset.one : el.dataset.many;
    number.classList.remove("bump");
    void number.offsetWidth; // so that the animation starts over
    number.classList.add("bump");
  }
}

function hear(update) {
  switch (update.type) {
    case "post": return add(posts, update.html, "post-" + update.id, true);
    case "reply": return add(replies, update.html, "reply-" + update.id, false);
    case "replied": return count(update.id, "replies");
    case "view": return count(update.id, "views");
    case "people":
      presence.hidden = false;
      people.textContent = update.count === 1 ? "just you here" : `${update.count} people here`;
  }
}

// The socket, opened again when it breaks: after 0.5 s, 1 s, 2 s ... 30 s, each with some chance in it.
let failures = 0;

function connect() {
  const url = new URL(document.body.dataset.live, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onopen = () => {
    failures = 0;
    presence.classList.remove("away");
  };
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    presence.classList.add("away");
    people.textContent = "connecting";
    const wait = Math.min(30000, 500 * 2 ** failures++) * (0.5 + Math.random() / 2);
    setTimeout(connect, wait);
  };
}

tellTimes(document);
setInterval(() => tellTimes(document), 30000);
if (document.body.dataset.live) connect();

// One click posts once.
for (const form of document.forms) {
  form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
}
addEventListener("pageshow", () => { for (const b of document.querySelectorAll("button")) b.disabled = false; });
