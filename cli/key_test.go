package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// Keys are hashed once and fast, so that only random ones will do.
func TestK02WeakKeysAreRefused(t *testing.T) {
	ours, _ := auth.NewAPIKeySecret()
	mistyped := ours[:10] + "-" + ours[11:]
	if mistyped == ours {
		mistyped = ours[:10] + "_" + ours[11:]
	}
	for key, want := range map[string]string{
		ours:                                      "",
		"3f9a0c74d2b85e16a7c93b0f8e41d65c":        "", // 128 bits in hex
		"3F9A0C74D2B85E16A7C93B0F8E41D65C":        "",
		"7d444840-9dc0-11d1-b245-5ffdce74fad2":    "",
		"kJ8x-2mQ_7vLr0PzT4wYbN":                  "", // 128 bits in base64url
		"JBSWY3DPEHPK3PXP5Q7T2ZLM6A4C":            "", // base32
		"318406972153869420753196824057319604827": "", // decimal
		mistyped:                               "with a character wrong",
		"kJ8x-2mQ_7vLr0PzT4wYb":                "21 characters",
		"3f9a0c74d2b85e16a7c93b0f8e41d65":      "can be guessed",
		"31840697215386942075319682405731960":  "can be guessed",
		"correct-horse-battery-staple":         "can be guessed",
		"CorrectHorseBatteryStapleAgainAndOn":  "can be guessed",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1A": "can be guessed",
		"Passw0rd!Passw0rd!Passw0rd!":          "can be guessed",
		"a key of more than 22 characters, 9A": "has a space",
		"schlüssel-Xy7-schlüssel-Xy7-Qq":       "outside ASCII",
		"kJ8x-2mQ_7vLr0PzT4wYbN\x7f":           "outside ASCII",
	} {
		err := strong(key)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", key, err, want)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestConfigLine(t *testing.T) {
	end := time.Date(2027, 1, 31, 0, 0, 0, 0, time.FixedZone("", 3600))
	hash := strings.Repeat("00", 32)
	for want, k := range map[string]auth.APIKey{
		`- {id: "a", sha256: "` + hash + `"}`:                                  {ID: "a"},
		`- {id: "a", sha256: "` + hash + `", not_after: 2027-01-30T23:00:00Z}`: {ID: "a", NotAfter: end},
		`- {id: "a", sha256: "` + hash + `", routes: ["@x","y"]}`:              {ID: "a", Routes: []string{"@x", "y"}},
	} {
		if got := configLine(k); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRotation(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 1, 31, hour, 0, 0, 0, time.UTC) }
	a := auth.APIKey{ID: "a", NotAfter: at(10), Routes: []string{"a"}}
	b := auth.APIKey{ID: "a", NotAfter: at(20), Routes: []string{"b"}}
	c := auth.APIKey{ID: "a", Routes: []string{"c"}}
	for _, keys := range [][]auth.APIKey{{a, b, c}, {c, b, a}, {b, c, a}} {
		if got := lasting(keys); got.Routes[0] != "c" {
			t.Errorf("of %v the longest lasting is %v", keys, got)
		}
		ended := ending(keys, at(15))
		for i, k := range ended {
			want := at(15)
			if keys[i].Routes[0] == "a" {
				want = at(10) // ends earlier by itself
			}
			if !k.NotAfter.Equal(want) {
				t.Errorf("%v ends %s, want %s", keys[i].Routes, k.NotAfter, want)
			}
		}
		if !slices.ContainsFunc(keys, func(k auth.APIKey) bool { return k.NotAfter.IsZero() }) {
			t.Error("the keys that were given are changed")
		}
	}
	if got := lasting([]auth.APIKey{a, b}); got.Routes[0] != "b" {
		t.Errorf("the longest lasting is %v", got)
	}
}
