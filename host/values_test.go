package host_test

import "testing"

// Every type of value comes back from each database as a plugin wrote it, and finds its row.
func TestValues(t *testing.T) { onServers(t, testValues) }

func testValues(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "values", bundle(t, "values"))
	s.want("POST", "/values/trip", "", 200, "")
	infinite := map[string][3]string{"sqlite": {"+Inf", "-Inf", "null"}, "postgres": {"+Inf", "-Inf", "NaN"}, "mariadb": {"invalid", "invalid", "invalid"}}[server.name]
	for i, value := range []string{"inf", "-inf", "nan"} {
		s.want("POST", "/values/float/"+value, "", 200, infinite[i])
	}
	s.want("POST", "/values/bad/kind/chalk", "", 200, "conflict")
	if server.name != "sqlite" { // whose integers all have 64 bits
		s.want("POST", "/values/bad/small/9999999999", "", 200, "invalid")
	}
	for _, bad := range []string{"price/x", "day/2024-02-30", "clock/25:00", "at/never", "doc/{", "ref/123", "ok/maybe"} {
		s.want("POST", "/values/bad/"+bad, "", 200, "invalid")
	}
}
