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

function add(list, card, first) {
  if (!list || document.getElementById(card.id)) return;
  tellTimes(card);
  card.classList.add("arrives");
  if (first) list.prepend(card);
  else list.append(card);
  if (document.hidden) document.title = "● " + title;
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // escaped by the server, which wrote the rest of the page in the same way
  return template.content.firstElementChild;
}

function count(id, kind, next) {
  for (const el of document.querySelectorAll(`[data-post="${CSS.escape(id)}"] [data-count="${kind}"]`)) {
    const number = el.querySelector("b");
    const before = Number(number.textContent);
    const n = next(before);
    if (n === before) continue;
    number.textContent = n;
    el.querySelector("span").textContent = n === 1 ? el.dataset.one : el.dataset.many;
    number.classList.remove("bump");
    void number.offsetWidth; // so that the animation starts over
    number.classList.add("bump");
  }
}

const oneMore = (n) => n + 1;

function hear(update) {
  switch (update.type) {
    case "post": return add(posts, parse(update.html), true);
    case "reply": return add(replies, parse(update.html), false);
    case "replied": return count(update.id, "replies", oneMore);
    case "view": return count(update.id, "views", oneMore);
    case "people":
      presence.hidden = false;
      people.textContent = update.count === 1 ? "just you here" : `${update.count} people here`;
  }
}

// catchUp takes from the page as it is now what nobody told us while the socket was away.
async function catchUp() {
  const response = await fetch(location.href);
  if (!response.ok) return;
  const now = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const card of [...now.querySelectorAll("#posts > *")].reverse()) add(posts, card, true);
  for (const card of now.querySelectorAll("#replies > *")) add(replies, card, false);
  for (const el of now.querySelectorAll("[data-post] [data-count]")) {
    const n = Number(el.querySelector("b").textContent);
    count(el.closest("[data-post]").dataset.post, el.dataset.count, (before) => Math.max(before, n));
  }
}

// The socket, opened again when it breaks: after 0.5 s, 1 s, 2 s ... 30 s, each with some chance in it. A page that is left is kept
// by the browser for the way back; its socket is not, or its reader would be counted there too.
let socket, retry;
let failures = 0;

function connect() {
  const url = new URL(document.body.dataset.live, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.onopen = () => {
    presence.classList.remove("away");
    if (failures > 0) catchUp().catch(() => {}); // when it fails, the socket breaks too
    failures = 0;
  };
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    presence.classList.add("away");
    people.textContent = "connecting";
    const wait = Math.min(30000, 500 * 2 ** failures++) * (0.5 + Math.random() / 2);
    retry = setTimeout(connect, wait);
  };
}

if (document.body.dataset.live) {
  connect();
  addEventListener("pagehide", () => {
    clearTimeout(retry);
    socket.onmessage = socket.onclose = null; // they would be called when the page is back, beside those of the next socket
    socket.close();
    presence.classList.add("away");
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    failures = 1; // there is something to catch up with
    connect();
  });
}

tellTimes(document);
setInterval(() => tellTimes(document), 30000);

// A dot in the title says that something is new, until somebody looks.
const title = document.title;
document.addEventListener("visibilitychange", () => { if (!document.hidden) document.title = title; });

// One click posts once, and so do Ctrl and Enter.
for (const form of document.forms) {
  form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !form.querySelector("button").disabled) form.requestSubmit();
  });
}
addEventListener("pageshow", () => { for (const b of document.querySelectorAll("button")) b.disabled = false; });
