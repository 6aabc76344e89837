package token_test

import (
	"bytes"
	"os/exec"
	"testing"

	"gatehouse/test/rig"
)

// node runs one of the programs in testdata, which end with a line of JSON.
func (w *world) node(t *testing.T, program string) map[string]any {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		// Another client for a guide that is followed without it, too.
		t.Skip("node is missing: apt-get install nodejs")
	}
	cmd := exec.Command(path, "testdata/"+program)
	cmd.Env = append(cmd.Environ(), "BASE=http://"+w.Addr)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	switch program {
	case "traylinx.mjs":
		cmd.Env = append(cmd.Env, "API_KEY="+rig.WebKey)
	default:
		cmd.Env = append(cmd.Env, "API_KEY="+rig.PartnerKey, "CLIENT_SECRET="+rig.PartnerSecret)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	return object(t, string(out))
}

func TestGuideTrayLinxInNode(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", set("ACCESS_TTL", "2s"), set("GRACE", "1s"))
	want := map[string]any{"name": "Jane Doe <jane@example.com>", "refreshed": true, "info": 200, "revoked": 200, "after": 401}
	if got := w.node(t, "traylinx.mjs"); !equal(got, want) {
		t.Errorf("the program ends with %v, want %v", got, want)
	}
}

func TestGuideClientSecretInNode(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", set("ACCESS_TTL", "3s"), set("GRACE", "1s"))
	if got := w.node(t, "clientsecret.mjs"); !equal(got, map[string]any{"authentications": 1, "many": true}) {
		t.Errorf("the program ends with %v", got)
	}
}
