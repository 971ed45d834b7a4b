package main

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	odac "github.com/odac-run/odachost/sdk"
)

const (
	maxName = 40
	maxText = 2000
)

// form is what a visitor wrote, and what is wrong with it.
type form struct {
	Name, Text           string
	NameError, TextError string
}

func (f *form) valid() bool { return f.NameError == "" && f.TextError == "" }

func readForm(c *odac.Ctx) form {
	f := form{Name: oneLine(c.Form("name")), Text: clean(c.Form("text"))}
	switch n := utf8.RuneCountInString(f.Name); {
	case n == 0:
		f.NameError = "Please tell us your name, any name."
	case n > maxName:
		f.NameError = tooLong(n, maxName)
	}
	switch n := utf8.RuneCountInString(f.Text); {
	case n == 0:
		f.TextError = "There is nothing here yet. What is on your mind?"
	case n > maxText:
		f.TextError = tooLong(n, maxText)
	}
	return f
}

func tooLong(n, most int) string {
	return "That is " + strconv.Itoa(n) + " characters; " + strconv.Itoa(most) + " fit here."
}

// clean makes one kind of line end, and drops what cannot be seen and invalid UTF-8.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// The name is kept in a cookie, so that it is there the next time.

func rememberName(c *odac.Ctx, name string) error {
	return c.SetCookie(odac.Cookie{Name: "name", Value: base64.RawURLEncoding.EncodeToString([]byte(name)), MaxAge: 365 * 24 * time.Hour})
}

func rememberedName(c *odac.Ctx) string {
	name, err := base64.RawURLEncoding.DecodeString(c.Cookie("name"))
	if err != nil || utf8.RuneCount(name) > maxName {
		return ""
	}
	return oneLine(string(name))
}
