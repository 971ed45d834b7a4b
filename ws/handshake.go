package ws

import (
	"bufio"
	"crypto/sha1" // the accept key of RFC 6455 section 1.3 is no secret
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// handshake is what a valid request asks for and gets.
type handshake struct {
	accept      string
	subprotocol string
	extensions  string // of the answer, "" for none
}

// checkRequest judges a request after RFC 6455 section 4.2.1.
func checkRequest(r *http.Request, o *Options) (handshake, *HandshakeError) {
	var h handshake
	if r.Method != http.MethodGet {
		return h, refuse(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET")
	}
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		return h, refuse(http.StatusBadRequest, "a WebSocket handshake needs HTTP/1.1")
	}
	if r.Host == "" {
		return h, refuse(http.StatusBadRequest, "a WebSocket handshake needs a Host header")
	}
	if !hasToken(r.Header["Upgrade"], "websocket") {
		return h, refuse(http.StatusUpgradeRequired, "this is a WebSocket: the request needs \"Upgrade: websocket\"")
	}
	if !hasToken(r.Header["Connection"], "upgrade") {
		return h, refuse(http.StatusBadRequest, "a WebSocket handshake needs \"Connection: Upgrade\"")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return h, refuse(http.StatusUpgradeRequired, "Sec-WebSocket-Version must be 13")
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return h, refuse(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 || !validKey(keys[0]) {
		return h, refuse(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
	}
	if !originAllowed(r, o.Origins) {
		return h, refuse(http.StatusForbidden, "this Origin may not open a WebSocket here")
	}
	var bad *HandshakeError
	if h.subprotocol, bad = chooseSubprotocol(r.Header["Sec-Websocket-Protocol"], o.Subprotocols); bad != nil {
		return h, bad
	}
	if values := r.Header["Sec-Websocket-Extensions"]; len(values) > 0 {
		offers, ok := parseExtensions(strings.Join(values, ","))
		if !ok {
			return h, refuse(http.StatusBadRequest, "Sec-WebSocket-Extensions does not follow its grammar")
		}
		if o.CompressBytes != none[int]() {
			h.extensions, _ = negotiateDeflate(offers)
		}
	}
	sum := sha1.Sum([]byte(keys[0] + acceptGUID))
	h.accept = base64.StdEncoding.EncodeToString(sum[:])
	return h, nil
}

func refuse(status int, reason string) *HandshakeError {
	return &HandshakeError{Status: status, Reason: reason}
}

// validKey takes exactly 16 bytes in padded base64.
func validKey(key string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(b) == 16 && len(key) == 24
}

// hasToken looks for a token in a list header, case ignored.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// chooseSubprotocol picks our best among those offered. What is not ours is never echoed: browsers smuggle credentials
// there for want of a header.
func chooseSubprotocol(values, ours []string) (string, *HandshakeError) {
	var offered []string
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			t = strings.Trim(t, " \t")
			if !isToken(t) || slices.Contains(offered, t) {
				return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol must be a list of different tokens")
			}
			offered = append(offered, t)
		}
	}
	for _, p := range ours {
		if slices.Contains(offered, p) {
			return p, nil
		}
	}
	return "", nil
}

// answer writes a refusal as plain HTTP.
func (e *HandshakeError) answer(w http.ResponseWriter) {
	h := w.Header()
	switch e.Status {
	case http.StatusBadRequest:
		h.Set("Connection", "close") // or net/http would wait for a body before it answers
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
		h.Set("Connection", "close")
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-WebSocket-Version", "13")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	http.Error(w, e.Reason, e.Status)
}

// hijack takes the socket from net/http.
func hijack(w http.ResponseWriter) (net.Conn, *HandshakeError) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		bad := &HandshakeError{Status: http.StatusInternalServerError, Reason: "this server cannot hand over its connections", Err: err}
		bad.answer(w)
		return nil, bad
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		bad := refuse(http.StatusBadRequest, "data came before the handshake was answered")
		writeEarly(conn, bad)
		return nil, bad
	}
	return conn, nil
}

// writeEarly answers 400 on a socket that net/http has given up.
func writeEarly(conn net.Conn, e *HandshakeError) {
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		e.Status, http.StatusText(e.Status), len(e.Reason)+1, e.Reason)
	_ = conn.Close() // nothing more to say
}

func writeSwitch(conn net.Conn, extra http.Header, h handshake) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	b := bufio.NewWriterSize(conn, 1024)
	_, _ = b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + h.accept + "\r\n")
	if h.subprotocol != "" {
		_, _ = b.WriteString("Sec-WebSocket-Protocol: " + h.subprotocol + "\r\n")
	}
	if h.extensions != "" {
		_, _ = b.WriteString("Sec-WebSocket-Extensions: " + h.extensions + "\r\n")
	}
	_ = extra.WriteSubset(b, switchOwn) // bufio keeps the error for Flush
	_, _ = b.WriteString("\r\n")
	if err := b.Flush(); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// switchOwn are the headers that are not the composer's to set on a 101.
var switchOwn = map[string]bool{
	"Upgrade": true, "Connection": true, "Content-Length": true, "Content-Type": true, "Transfer-Encoding": true, "Trailer": true,
	"Keep-Alive": true, "Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true, "Sec-Websocket-Extensions": true,
}
