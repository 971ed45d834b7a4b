//go:build !wasip1

package browser_test

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// An evening's talk: who says what, when (minutes ago), how often it was read, and the answers.
var talk = []struct {
	name, text string
	minutes    int
	views      int
	replies    []string
}{
	{"Noor", "Found a set of keys with a small brass owl at the bus stop on Elm Street. The baker has them behind the counter.", 190, 9, []string{"Ines: Mine! Thank you so much, the owl is called Margaret.", "Noor: Then Margaret is waiting for you beside the rye bread."}},
	{"Theo", "Does anybody know who plays the cello on the third floor on Sunday mornings? No complaint at all. I only want to say that I open my window for it.", 84, 14, []string{"Ada: That is Mr. Okafor. He will be delighted.", "Mika: I thought I was the only one!", "Okafor: I am. Next Sunday: Bach, and requests."}},
	{"Mika", "Potluck in the courtyard on Friday at seven.\nBring a plate, a chair, and one thing to share. If it rains we move to the bicycle shed.", 26, 11, []string{"Theo: I bring the big pot of dal.", "Jun: Chairs: I have six."}},
	{"Ada", "The first tomatoes on the roof are ripe. Take one, leave the green ones, and say hello to the bees 🍅", 3, 7, []string{"Jun: Had one. It tasted of summer."}},
}

// furnish writes the talk.
func furnish(s *server) {
	for _, post := range talk {
		s.submit("/posts", post.name, post.text)
		page := "/posts/" + s.newest()
		for _, reply := range post.replies {
			name, text, _ := strings.Cut(reply, ": ")
			s.submit(page+"/replies", name, text)
		}
		for range post.views {
			s.get(page)
		}
	}
}

// device is a screen and what its owner prefers.
type device struct {
	name          string
	width, height int64
	scale         float64
	scheme        string
}

var devices = []device{
	{"desktop-light", 1200, 800, 1.5, "light"},
	{"desktop-dark", 1200, 800, 1.5, "dark"},
	{"phone-light", 360, 760, 2, "light"},
	{"phone-dark", 360, 760, 2, "dark"},
}

func (d device) emulate() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: d.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		if err != nil {
			return err
		}
		_, err = chromedp.EmulateViewport(d.width, d.height, chromedp.EmulateScale(d.scale))(ctx, target)
		return err
	})
}

// TestLooks sees the pages as people do, on several screens. With -artifacts it keeps the pictures, with -update it renews the
// one in the README.
func TestLooks(t *testing.T) {
	browser := newChromium(t)
	s := newServer(t)
	empty := newTab(t, browser, s.url)
	_ = empty
	furnish(s)
	busy := s.newest()
	for _, d := range devices {
		pages := map[string]string{"front": "/", "post": "/posts/" + busy, "lost": "/nowhere"}
		for name, path := range pages {
			p := newTab(t, browser, s.url+path, d.emulate())
			if name == "lost" {
				p.forgive("status of 404")
			}
			p.backdate()
			picture := p.picture(filepath.Join(t.ArtifactDir(), d.name+"-"+name+".png"))
			if d.name == "desktop-light" && name == "front" && flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile("../../../docs/board.png", picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p.close()
		}
	}
}

// backdate lets the talk have taken an evening.
func (p *tab) backdate() {
	p.t.Helper()
	for _, post := range talk {
		p.until(`[...document.querySelectorAll(".card")].filter(e => e.textContent.includes(%s)).every(e => e.querySelector("time").dateTime = new Date(Date.now() - %s * 60000).toISOString())`,
			post.text[:20], post.minutes)
	}
	p.until(`(tellTimes(document), true)`)
}

func (p *tab) picture(file string) []byte {
	p.t.Helper()
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
	_ = image.Black
	return out.Bytes()
}
