package admin

import "testing"

func TestReadyz(t *testing.T) {
	for name, tt := range map[string]struct {
		parts  []Part
		status int
		ready  bool
	}{
		"all well":           {[]Part{{Name: "config", State: StateOK}}, 200, true},
		"degraded":           {[]Part{{Name: "config", State: StateOK}, {Name: "issuer main", State: StateDegraded}}, 200, true},
		"failing":            {[]Part{{Name: "revocations", State: StateFailing}, {Name: "config", State: StateOK}}, 503, false},
		"draining, all well": {[]Part{{Name: "config", State: StateOK}, {Name: "drain", State: StateFailing}}, 503, false},
	} {
		f := newFake()
		f.parts = tt.parts
		answer := wantJSON[readiness](t, f.call(t, "GET", "/readyz", "", "Authorization", ""), tt.status)
		if answer.Ready != tt.ready || len(answer.Parts) != len(tt.parts) || answer.Parts[0] != tt.parts[0] {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// A dead dependency takes a replica out of the load balancer, and must not get
// it killed.
func TestM04LivenessIsTheProcessAlone(t *testing.T) {
	f := newFake()
	f.parts = []Part{{Name: "store", State: StateFailing}}
	if w := f.call(t, "GET", "/livez", "", "Authorization", ""); w.Code != 200 {
		t.Errorf("livez is %d", w.Code)
	}
	if w := f.call(t, "GET", "/readyz", "", "Authorization", ""); w.Code != 503 {
		t.Errorf("readyz is %d", w.Code)
	}
}

func TestProbesAnswerHead(t *testing.T) {
	for _, target := range []string{"/livez", "/readyz", "/metrics"} {
		if w := newFake().call(t, "HEAD", target, ""); w.Code != 200 {
			t.Errorf("HEAD %s is %d", target, w.Code)
		}
	}
}
