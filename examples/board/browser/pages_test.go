//go:build !wasip1

package browser_test

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// An evening's talk: who says what, when (minutes ago), how many read it, and the answers.
var talk = []struct {
	name, text string
	minutes    int
	views      int
	replies    []string
}{
	{"Noor", "Found a set of keys with a small brass owl at the bus stop on Elm Street. The baker has them behind the counter.", 190, 9, []string{"Ines: Mine! Thank you so much. The owl is called Margaret.", "Noor: Then Margaret waits for you beside the rye bread."}},
	{"Theo", "Does anybody know who plays the cello on the third floor on Sunday mornings? No complaint at all. I only want to say that I open my window for it.", 84, 14, []string{"Ada: That is Mr. Okafor. He will be delighted.", "Mika: I thought I was the only one!", "Okafor: I am. Next Sunday: Bach, and requests."}},
	{"Mika", "Potluck in the courtyard on Friday at seven.\nBring a plate, a chair, and one thing to share. If it rains we move to the bicycle shed.", 26, 11, []string{"Theo: I bring the big pot of dal.", "Jun: I have six chairs."}},
	{"Jun", "Learned to whistle with two fingers today, at fifty-one. My apologies to everybody who was in the stairwell.", 9, 12, []string{"Noor: We heard. We applauded.", "Theo: Next week: the cello?"}},
	{"Ada", "The first tomatoes on the roof are ripe. Take one, leave the green ones, and say hello to the bees 🍅", 3, 7, []string{"Jun: Had one. It tasted of summer."}},
}

// furnish writes the talk.
func furnish(s *server) {
	s.t.Helper()
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
	s.shows("/", "<b>7</b> <span>views") // the buffer has written the last of them
}

// backdate lets the talk have taken an evening.
func (p *tab) backdate() {
	p.t.Helper()
	const set = `.every(e => e.querySelector("time").dateTime = new Date(Date.now() - %s * 60000).toISOString())`
	p.until(`[...document.querySelectorAll("[data-post]")]`+set, 300)
	for _, post := range talk {
		p.until(`[...document.querySelectorAll(".card")].filter(e => e.textContent.includes(%s))`+set, post.text[:20], post.minutes)
	}
	p.until(`(tellTimes(document), true)`)
}

// device is a screen and what its owner prefers.
type device struct {
	name          string
	width, height int64
	scale         float64
	scheme        string
}

var devices = []device{
	{"phone-dark", 360, 760, 2, "dark"},
	{"phone-light", 360, 760, 2, "light"},
	{"desktop-dark", 1180, 740, 1.5, "dark"},
	{"desktop-light", 1180, 740, 1.5, "light"},
}

func (d device) emulate() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: d.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		if _, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			return err
		}
		_, err := chromedp.EmulateViewport(d.width, d.height, chromedp.EmulateScale(d.scale))(ctx, target)
		return err
	})
}

// audit.js lists what makes a page hard to use.
//
//go:embed testdata/audit.js
var audit string

// TestPages looks at every page on several screens: nothing sticks out at the side, texts can be read, controls have names, nothing
// moves for who asked for rest. With -artifacts it keeps pictures, with -update it renews the one in docs.
func TestPages(t *testing.T) {
	browser := newChromium(t)
	s := newServer(t)
	furnish(s)
	update := flag.Lookup("update").Value.String() == "true"
	keep := flag.Lookup("test.artifacts").Value.String() == "true"

	here := "just you here"
	if update || keep {
		here = "4 people here"
		for range 3 {
			newTab(t, browser, s.url)
		}
	}
	p := newTab(t, browser, s.url)
	for _, d := range devices {
		p.do(d.emulate())
		pages := []struct{ name, path string }{{"front", "/"}, {"post", "/posts/" + s.newest()}, {"empty", "/?page=9"}, {"mistake", "/"}, {"lost", "/nowhere"}}
		for _, page := range pages {
			p.do(chromedp.Navigate(s.url + page.path))
			switch page.name {
			case "mistake":
				p.write("Ann", "   ")
				p.shows("[role=alert]", "Almost there")
				p.until(`document.activeElement.getAttribute("aria-describedby") === "text-error"`)
				p.until(`document.querySelector("#name").value === "Ann"`)
				p.forgive("status of 422")
			case "lost":
				p.shows("h1", "Nothing here")
				p.forgive("status of 404")
			default:
				p.shows(".presence", here) // also after many pages: who turns one is not two
			}
			p.backdate()
			problems, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](audit))
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range problems {
				t.Errorf("%s, %s: %s", d.name, page.name, problem)
			}
			if keep {
				p.picture(filepath.Join(t.ArtifactDir(), d.name+"-"+page.name+".png"))
			}
			if update && d.name == "desktop-light" && page.name == "front" {
				p.do(chromedp.SendKeys(chromedp.CSS("#name"), "Ines"), chromedp.SendKeys(chromedp.CSS("#text"), "Margaret is home again. She says hello, and so do I."))
				p.picture("../../../docs/board.png")
			}
		}
	}
}

// picture keeps what the tab shows, in as few bytes as there can be.
func (p *tab) picture(file string) {
	p.t.Helper()
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, withPalette(picture)); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, small.Bytes(), 0o644); err != nil { //nolint:gosec // a picture for everybody
		p.t.Fatal(err)
	}
}

// withPalette keeps the 256 colours that are used most; of a page that is nearly all.
func withPalette(from image.Image) *image.Paletted {
	uses := map[color.Color]int{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			uses[from.At(x, y)]++
		}
	}
	palette := slices.SortedFunc(maps.Keys(uses), func(a, b color.Color) int { return uses[b] - uses[a] })
	to := image.NewPaletted(from.Bounds(), palette[:min(len(palette), 256)])
	nearest := map[color.Color]uint8{}
	for y := range from.Bounds().Dy() {
		for x := range from.Bounds().Dx() {
			c := from.At(x, y)
			index, ok := nearest[c]
			if !ok {
				index = uint8(to.Palette.Index(c)) //nolint:gosec // of 256
				nearest[c] = index
			}
			to.SetColorIndex(x, y, index)
		}
	}
	return to
}
