package database

import "time"

// The forms of times where a database stores them as text, those of package migrate. Each has a fixed width, so that text order is time
// order.
const (
	timeLayout  = "2006-01-02T15:04:05.000000000Z"
	dateLayout  = "2006-01-02"
	clockLayout = "15:04:05.000000000"
)

// appendTimeText appends t, which is in the years 0 to 9999, in timeLayout.
func appendTimeText(b []byte, t time.Time) []byte { return t.AppendFormat(b, timeLayout) }

// parseTimeText reads a time as a database has it: a date, alone or followed by T or a space and hours, minutes, and maybe seconds
// and a fraction, then maybe Z or an offset. Without either it is UTC. It allocates nothing.
func parseTimeText[T []byte | string](s T) (sec int64, nsec uint32, ok bool) {
	if len(s) < len(dateLayout) || s[4] != '-' || s[7] != '-' {
		return 0, 0, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	sec = daysSince1970(year, month, day) * 86400
	if len(s) == len(dateLayout) {
		return sec, 0, true
	}
	if c := s[10]; c != 'T' && c != ' ' && c != 't' {
		return 0, 0, false
	}
	clock, nsec, rest, ok := parseClock(s[11:])
	if !ok {
		return 0, 0, false
	}
	offset, ok := parseOffset(rest)
	return sec + clock - offset, nsec, ok
}

// parseClock reads "15:04", "15:04:05" or "15:04:05.999" at the head of s.
func parseClock[T []byte | string](s T) (sec int64, nsec uint32, rest T, ok bool) {
	if len(s) < 5 || s[2] != ':' {
		return 0, 0, s, false
	}
	hour, ok1 := digits(s[0:2])
	minute, ok2 := digits(s[3:5])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, 0, s, false
	}
	sec, s = int64(hour)*3600+int64(minute)*60, s[5:]
	if len(s) == 0 || s[0] != ':' {
		return sec, 0, s, true
	}
	if len(s) < 3 {
		return 0, 0, s, false
	}
	second, ok3 := digits(s[1:3])
	if !ok3 || second > 59 {
		return 0, 0, s, false
	}
	sec, s = sec+int64(second), s[3:]
	if len(s) == 0 || s[0] != '.' {
		return sec, 0, s, true
	}
	s = s[1:]
	scale, n := uint32(1e9), 0
	for ; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		if scale > 1 {
			scale /= 10
			nsec += uint32(s[n]-'0') * scale
		}
	}
	return sec, nsec, s[n:], n > 0
}

func parseOffset[T []byte | string](s T) (sec int64, ok bool) {
	switch {
	case len(s) == 0, len(s) == 1 && (s[0] == 'Z' || s[0] == 'z'):
		return 0, true
	case len(s) == 6 && s[3] == ':' && (s[0] == '+' || s[0] == '-'):
		hour, ok1 := digits(s[1:3])
		minute, ok2 := digits(s[4:6])
		sec = int64(hour)*3600 + int64(minute)*60
		if s[0] == '-' {
			sec = -sec
		}
		return sec, ok1 && ok2 && hour < 24 && minute < 60
	}
	return 0, false
}

func digits[T []byte | string](s T) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days of the proleptic Gregorian calendar, with the year beginning in March so that the leap day is its last.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	year += 400 // year 0 in January would be negative: one era more, taken off below
	days := 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1
	return int64(days) - 719468 - 146097
}
