//go:build !wasip1

package browser_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBoard is an evening at the board: Chromium, and the host as a user starts it.
func TestBoard(t *testing.T) {
	browser := newChromium(t)
	s := newServer(t)

	// The page has its style, and nobody else is here.
	ann := newTab(t, browser, s.url)
	ann.until(`getComputedStyle(document.querySelector(".card")).borderRadius !== "0px"`)
	ann.shows(".presence", "just you")
	ann.mark()

	// Somebody comes and goes.
	bob := newTab(t, browser, s.url)
	ann.shows(".presence", "2 people")
	bob.shows(".presence", "2 people")
	bob.close()
	ann.shows(".presence", "just you")

	// A post appears where it was written, and in a page that was open before.
	bob = newTab(t, browser, s.url)
	bob.mark()
	ann.write("Ann", "Good evening,\nis anybody <b>here</b>?")
	ann.shows("#posts .text", "is anybody <b>here</b>?")
	bob.shows("#posts .text", "is anybody <b>here</b>?")
	bob.until(`document.querySelectorAll("#posts .card").length === 2`)
	bob.unmoved()
	ann.until(`document.querySelector("#name").value === "Ann"`) // it is remembered
	ann.until(`document.querySelector("#text").value === ""`)
	bob.until(`document.querySelector("#name").value === ""`)
	bob.close()

	// All of that needs no JavaScript.
	ann.mark()
	cid := newTab(t, browser, s.url, withoutJavaScript)
	cid.write("Cid", "I have it switched off")
	cid.shows("#posts .text", "I have it switched off")
	cid.until(`!document.querySelector("time").title`) // no script ran
	cid.close()
	ann.shows("#posts .text", "I have it switched off")
	ann.unmoved()

	// Who reads a post is counted, on every page that shows it.
	id := s.newest()
	post := func(kind, n string) string {
		return script(`document.querySelector(%s).textContent === %s`, "[data-post='"+id+"'] [data-count="+kind+"] b", n)
	}
	bob = newTab(t, browser, s.url+"/posts/"+id)
	bob.until(post("views", "1"))
	ann.until(post("views", "1"))
	s.shows("/", `<b>1</b> <span>view</span>`) // the buffer has written it
	dan := newTab(t, browser, s.url+"/posts/"+id)
	for _, p := range []*tab{ann, bob, dan} {
		p.until(post("views", "2"))
	}

	// Who goes back finds the page as it is now, and is here once.
	ann.do(chromedp.Navigate(s.url + "/posts/" + id))
	s.submit("/posts", "Eve", "While Ann was reading")
	ann.until(`history.back() === undefined`)
	ann.shows("#posts .text", "While Ann was reading")
	ann.shows(".presence:not(.away)", "3 people")
	bob.shows(".presence", "3 people")

	// A reply appears on the post's page, and is counted on the front page.
	bob.mark()
	dan.write("Dan", "So have I, sometimes")
	bob.shows("#replies .text", "So have I")
	bob.until(post("replies", "1"))
	bob.unmoved()
	dan.until(`document.querySelector(".reply:target")`)
	ann.until(post("replies", "1"))
	ann.until(post("views", "4")) // Ann was, and Dan was shown the page with his reply
	bob.close()
	dan.close()

	// After a power cut the page finds its way back, and sees what it missed.
	ann.mark()
	ann.until(`window.Socket = WebSocket, WebSocket = function () { setTimeout(() => this.onclose()) }`) // Ann's network is down too
	s.kill()
	ann.until(`document.querySelector(".presence.away")`)
	s.start() // what was deployed is served
	s.submit("/posts", "Eve", "First after the power cut")
	ann.until(`WebSocket = Socket`)
	ann.shows(".presence:not(.away)", "just you")
	ann.shows("#posts .text", "First after the power cut")
	s.submit("/posts", "Eve", "And a second one")
	ann.shows("#posts .text", "And a second one")
	ann.unmoved()
	ann.close()

	// Nothing is lost: neither by that, nor by an orderly stop.
	for range 2 {
		s.shows("/", `<b>4</b> <span>views</span>`)
		fay := newTab(t, browser, s.url)
		for _, text := range []string{"is anybody", "switched off", "was reading", "power cut", "second one", "Welcome!"} {
			fay.shows("#posts .text", text)
		}
		fay.until(post("replies", "1"))
		fay.until(post("views", "4"))
		fay.close()
		s.stop()
		s.start()
	}
}
