package main

import (
	"hash/fnv"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	odac "github.com/odac-run/odachost/sdk"
)

// begin writes a page down to its content. Live is the page's name for the WebSocket, "" for none.
func begin(title, live string) *html {
	h := &html{b: make([]byte, 0, 16<<10)}
	name := odac.ConfigOr("title", "The board")
	if title != "" {
		title += " · "
	}
	h.raw("<!doctype html>\n", `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`)
	h.raw(`<meta name="color-scheme" content="light dark"><title>`).text(title + name).raw(`</title>`)
	h.raw(`<link rel="icon" type="image/svg+xml"`).attr("href", asset("icon.svg"))
	h.raw(`><link rel="stylesheet"`).attr("href", asset("board.css"))
	h.raw(`><script defer`).attr("src", asset("board.js")).raw(`></script></head><body`)
	if live != "" {
		h.attr("data-live", odac.URL("/live/"+live))
	}
	h.raw(`><a class="skip" href="#main">Skip to the posts</a><header class="top"><div class="wrap">`)
	h.raw(`<a class="brand"`).attr("href", odac.URL("/")).raw(`><span class="mark" aria-hidden="true"></span>`).text(name).raw(`</a>`)
	h.raw(`<p class="presence" role="status" hidden><span class="dot" aria-hidden="true"></span><span id="people"></span></p></div></header>`)
	return h.raw(`<main id="main" class="wrap">`)
}

func end(h *html) *html {
	return h.raw(`</main><footer class="wrap">A WebAssembly plugin on <a href="https://github.com/odac-run/odachost">odachost</a>. No cookies but your name, no trackers.</footer></body></html>`, "\n")
}

// asset is the address of a file in assets/, new with each version of the plugin.
func asset(name string) string { return odac.URL("/assets/" + name + "?v=" + odac.Info().Version) }

func frontPage(posts []post, f form, number int, more bool) *html {
	live := "front"
	if number > 1 {
		live = "older"
	}
	h := begin("", live)
	h.raw(`<div class="split"><div class="side"><section class="hero"><h1>`)
	h.text(odac.ConfigOr("tagline", "Say something kind.")).raw(`</h1></section>`)
	writeForm(h, f, "/posts", "What is on your mind?", "Post")
	h.raw(`</div><section aria-labelledby="latest"><h2 id="latest">`)
	if number > 1 {
		h.raw(`Page `).number(int64(number)).raw(`</h2>`)
	} else {
		h.raw(`Latest</h2>`)
	}
	h.raw(`<div id="posts" class="posts" aria-live="polite">`)
	for _, p := range posts {
		writePost(h, p, false)
	}
	h.raw(`</div>`)
	switch {
	case len(posts) == 0 && number > 1:
		h.raw(`<p class="empty">That was everything.</p>`)
	case len(posts) == 0:
		h.raw(`<p class="empty">Nothing here yet. Yours could be the first.</p>`)
	}
	h.raw(`<nav class="pages" aria-label="Pages">`)
	if number > 1 {
		h.raw(`<a rel="prev"`).attr("href", odac.URL("/?page="+strconv.Itoa(number-1))).raw(`>Newer</a>`)
	}
	if more && number < maxPages {
		h.raw(`<a rel="next"`).attr("href", odac.URL("/?page="+strconv.Itoa(number+1))).raw(`>Older</a>`)
	}
	return end(h.raw(`</nav></section></div>`))
}

func postPage(p post, replies []reply, f form) *html {
	h := begin(p.Name+": "+firstLine(p.Text), p.ID)
	h.raw(`<div class="column"><nav class="back" aria-label="Back"><a`).attr("href", odac.URL("/")).raw(`>All posts</a></nav><h1 class="unseen">`).text(p.Name).raw(`’s post</h1>`)
	writePost(h, p, true)
	h.raw(`<section aria-labelledby="replies-title"><h2 id="replies-title">Replies</h2><div id="replies" class="replies" aria-live="polite">`)
	for _, r := range replies {
		writeReply(h, r)
	}
	h.raw(`</div>`)
	if len(replies) == 0 {
		h.raw(`<p class="empty">No replies yet. What would you answer?</p>`)
	}
	writeForm(h, f, "/posts/"+p.ID+"/replies", "Write a reply", "Reply")
	return end(h.raw(`</section></div>`))
}

func notFoundPage() *html {
	h := begin("Not found", "")
	h.raw(`<section class="column hero"><h1>Nothing here</h1><p>This page is gone, or never was.</p><p><a class="button"`)
	return end(h.attr("href", odac.URL("/")).raw(`>To the board</a></p></section>`))
}

// postCard and replyCard are the parts that browsers put into an open page.

func postCard(p post) string {
	h := &html{}
	writePost(h, p, false)
	return h.String()
}

func replyCard(r reply) string {
	h := &html{}
	writeReply(h, r)
	return h.String()
}

func writePost(h *html, p post, whole bool) {
	url := odac.URL("/posts/" + p.ID)
	class := "card"
	if whole {
		class = "card whole"
	}
	h.raw(`<article`).attr("class", class).attr("id", "post-"+p.ID).attr("data-post", p.ID).attr("data-hue", hue(p.Name)).raw(`>`)
	writeByline(h, p.Name, func() { h.raw(`<a`).attr("href", url).raw(`>`).time(p.CreatedAt).raw(`</a>`) })
	h.raw(`<div class="text">`).paragraphs(p.Text).raw(`</div><footer class="facts">`)
	writeCount(h, "replies", p.Replies, "reply", "replies")
	writeCount(h, "views", p.Views, "view", "views")
	if !whole {
		h.raw(`<a class="more"`).attr("href", url).attr("aria-label", "Read and reply to "+p.Name).raw(`>Reply</a>`)
	}
	h.raw(`</footer></article>`)
}

func writeReply(h *html, r reply) {
	h.raw(`<article class="card reply"`).attr("id", "reply-"+r.ID).attr("data-hue", hue(r.Name)).raw(`>`)
	writeByline(h, r.Name, func() { h.time(r.CreatedAt) })
	h.raw(`<div class="text">`).paragraphs(r.Text).raw(`</div></article>`)
}

func writeByline(h *html, name string, when func()) {
	first, _ := utf8.DecodeRuneInString(name)
	h.raw(`<header class="by"><span class="face" aria-hidden="true">`)
	h.text(string(unicode.ToUpper(first))).raw(`</span><strong>`).text(name).raw(`</strong>`)
	when()
	h.raw(`</header>`)
}

// hue is the colour of who writes, one of the twelve in board.css.
func hue(name string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(strings.ToLower(name))) // never fails
	return strconv.Itoa(int(hash.Sum32() % 12))
}

// writeCount writes "3 views" so that board.js can count on: the number, and both words.
func writeCount(h *html, kind string, n int64, one, many string) {
	h.raw(`<span`).attr("data-count", kind).attr("data-one", one).attr("data-many", many).raw(`><b>`).number(n).raw(`</b> <span>`)
	if n == 1 {
		many = one
	}
	h.raw(many, `</span></span>`)
}

func writeForm(h *html, f form, action, label, button string) {
	h.raw(`<form class="card write" method="post"`).attr("action", odac.URL(action)).raw(`>`)
	if !f.valid() {
		h.raw(`<p class="problem" role="alert">Almost there: please look at the fields below.</p>`)
	}
	h.raw(`<label for="text">`).text(label).raw(`</label><textarea id="text" name="text" rows="3" required`)
	h.attr("maxlength", strconv.Itoa(maxText))
	writeInvalid(h, "text", f.TextError, true)
	h.raw(">\n").text(f.Text).raw(`</textarea>`)
	writeError(h, "text", f.TextError)
	h.raw(`<div class="row"><div class="field"><label for="name">Your name</label><input id="name" name="name" autocomplete="nickname" required`)
	h.attr("maxlength", strconv.Itoa(maxName)).attr("value", f.Name)
	writeInvalid(h, "name", f.NameError, f.TextError == "")
	h.raw(`>`)
	writeError(h, "name", f.NameError)
	h.raw(`</div><button class="button">`).text(button).raw(`</button></div></form>`)
}

// writeInvalid marks a field that needs another look; the first one gets the keys.
func writeInvalid(h *html, field, problem string, first bool) {
	if problem == "" {
		return
	}
	h.attr("aria-invalid", "true").attr("aria-describedby", field+"-error")
	if first {
		h.raw(` autofocus`)
	}
}

func writeError(h *html, field, problem string) {
	if problem != "" {
		h.raw(`<p class="error"`).attr("id", field+"-error").raw(`>`).text(problem).raw(`</p>`)
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 50 {
		return string(r[:50]) + "…"
	}
	return s
}
