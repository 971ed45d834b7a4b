package ws

// bucket is a token bucket, filled at a steady rate up to a burst. It belongs to one goroutine. A bucket without a rate
// always has tokens.
type bucket struct {
	perSecond float64
	burst     float64
	tokens    float64
	last      int64 // nanoseconds of the hub's clock
}

func newBucket(perSecond, burst float64, now int64) bucket {
	return bucket{perSecond: perSecond, burst: burst, tokens: burst, last: now}
}

// take takes n tokens if there are any at all, so that one large take is paid off later, and reports whether there were.
func (b *bucket) take(n float64, now int64) bool {
	if b.perSecond == 0 {
		return true
	}
	if now > b.last {
		b.tokens = min(b.burst, b.tokens+float64(now-b.last)/1e9*b.perSecond)
		b.last = now
	}
	if b.tokens <= 0 {
		return false
	}
	b.tokens -= n
	return true
}
