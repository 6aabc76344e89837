package test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gatehouse/config"
)

// document is a YAML document of which only some members matter.
type document = map[string]any

func readYAML(t *testing.T, name string) []document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var d document
		err := decoder.Decode(&d)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, d)
	}
}

// at follows the keys of mappings and the indexes of lists.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		ok := false
		switch key := step.(type) {
		case string:
			var m map[string]any
			if m, ok = v.(map[string]any); ok {
				v, ok = m[key]
			}
		case int:
			var l []any
			if l, ok = v.([]any); ok && key < len(l) {
				v = l[key]
			}
		}
		if !ok {
			t.Fatalf("there is nothing at %v of %v", step, path)
		}
	}
	return v
}

// loads checks that the text is a configuration, with the files that it names.
func loads(t *testing.T, text string, environ []string) *config.Config {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"secrets/main.secret", "secrets/admin.token"} {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("a secret for a test: 0123456789 abcdefghijklm\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse(filepath.Join(folder, "gateway.yaml"), []byte(text), environ)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := cfg.Warnings(); len(warnings) != 0 {
		t.Errorf("warnings: %v", warnings)
	}
	return cfg
}

func TestComposeRuns(t *testing.T) {
	compose := readYAML(t, "docker-compose.yml")[0]
	text, err := os.ReadFile(filepath.Join(root, "deploy", "compose", "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := loads(t, string(text), nil)
	if got := cfg.Store.URL.Reveal(); got != "redis://redis:6379/0" {
		t.Errorf("the store is %s", got)
	}
	if got := cfg.Server.Listen; got != ":8080" {
		t.Errorf("the data listener is %s, which nobody outside the container reaches", got)
	}
	for _, mount := range at(t, compose, "services", "gateway", "volumes").([]any) {
		from, _, _ := strings.Cut(mount.(string), ":")
		if _, err := os.Stat(filepath.Join(root, from)); err != nil {
			t.Errorf("mounted: %v", err)
		}
	}
}

// The image's own configuration must not reach into one that is mounted: an
// environment variable of the image would win over the file.
func TestImageConfiguration(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "image", "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := loads(t, string(text), []string{"UPSTREAM=http://10.0.0.1:80", "GATEHOUSE_STORE_URL=memory:"}) // /data is there in the image alone
	if cfg.Server.Listen != ":8080" || !strings.Contains(string(text), "url: file:/data/") || cfg.Routes[0].Upstream[0].URL != "http://10.0.0.1:80" {
		t.Errorf("%+v", cfg)
	}
	for _, in := range finalStage(dockerfile(t)) {
		if in.name == "ENV" {
			t.Errorf("ENV %s would win over a mounted gateway.yaml", in.rest)
		}
	}
}

// A Redis that evicts brings revoked tokens back to life.
func TestR16ComposeRedisKeepsWhatItWasGiven(t *testing.T) {
	var command []string
	for _, word := range at(t, readYAML(t, "docker-compose.yml")[0], "services", "redis", "command").([]any) {
		command = append(command, word.(string))
	}
	line := strings.Join(command, " ")
	for _, want := range []string{"--maxmemory-policy noeviction", "--appendonly yes", "--appendfsync always"} {
		if !strings.Contains(line, want) {
			t.Errorf("redis is started by %q, without %s", line, want)
		}
	}
}

func TestSidecarManifest(t *testing.T) {
	manifest := readYAML(t, "deploy/kubernetes/sidecar.yaml")
	cfg := loads(t, at(t, manifest[0], "data", "gateway.yaml").(string), nil)
	pod := at(t, manifest[1], "spec", "template", "spec")
	gateway := at(t, pod, "containers", 0)
	ports := map[string]string{}
	for _, port := range at(t, gateway, "ports").([]any) {
		ports[at(t, port, "name").(string)] = ":" + yamlText(t, at(t, port, "containerPort"))
	}
	if ports["http"] != cfg.Server.Listen || ports["admin"] != cfg.Admin.Listen {
		t.Errorf("the container's ports are %v, the configuration listens on %s and %s", ports, cfg.Server.Listen, cfg.Admin.Listen)
	}
	for _, probe := range []string{"readinessProbe", "livenessProbe"} {
		if got := at(t, gateway, probe, "httpGet", "port"); got != "admin" {
			t.Errorf("%s asks port %v", probe, got)
		}
	}
	if at(t, gateway, "readinessProbe", "httpGet", "path") != "/readyz" || at(t, gateway, "livenessProbe", "httpGet", "path") != "/livez" {
		t.Error("a probe asks the wrong path") // M04: liveness by /readyz kills pods when the store is down
	}
	grace := at(t, pod, "terminationGracePeriodSeconds").(int)
	if need := (cfg.Server.DrainDelay.Std() + cfg.Server.DrainTimeout.Std()).Seconds(); float64(grace) <= need {
		t.Errorf("%d s to end, of which draining can take %v", grace, need)
	}
}

func yamlText(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// metricLabels are our series and their labels, from the source of metrics.
func metricLabels(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "metrics", "metrics.go"))
	if err != nil {
		t.Fatal(err)
	}
	series := map[string][]string{}
	for _, match := range regexp.MustCompile(`desc\("([a-z_]+)", "[^"]*"(.*)\)`).FindAllStringSubmatch(string(text), -1) {
		series["gatehouse_"+match[1]] = strings.FieldsFunc(match[2], func(r rune) bool { return strings.ContainsRune(`", `, r) })
	}
	if len(series) < 10 {
		t.Fatalf("found the series %v", series)
	}
	return series
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	series := metricLabels(t)
	name := regexp.MustCompile(`gatehouse_[a-z_]+`)
	label := regexp.MustCompile(`([a-z_]+)(?:=~?|!=)"|by \(([a-z_, ]+)\)`)
	names := map[string]bool{}
	for _, rule := range at(t, readYAML(t, "deploy/prometheus/alerts.yaml")[0], "groups", 0, "rules").([]any) {
		alert, expr := at(t, rule, "alert").(string), at(t, rule, "expr").(string)
		if names[alert] {
			t.Errorf("%s stands twice", alert)
		}
		names[alert] = true
		if at(t, rule, "annotations", "summary") == "" || at(t, rule, "labels", "severity") == "" {
			t.Errorf("%s has no summary or severity", alert)
		}
		allowed := []string{"le"}
		for _, metric := range name.FindAllString(expr, -1) {
			labels, ok := series[strings.TrimSuffix(metric, "_bucket")]
			if !ok {
				t.Errorf("%s asks for %s, which does not exist", alert, metric)
			}
			allowed = append(allowed, labels...)
		}
		for _, match := range label.FindAllStringSubmatch(expr, -1) {
			for _, used := range strings.FieldsFunc(match[1]+","+match[2], func(r rune) bool { return r == ',' || r == ' ' }) {
				if !slices.Contains(allowed, used) {
					t.Errorf("%s uses the label %s; there are %v", alert, used, allowed)
				}
			}
		}
	}
}

func TestNetworkPolicyPorts(t *testing.T) {
	policies := readYAML(t, "deploy/kubernetes/networkpolicy.yaml")
	sidecar := loads(t, at(t, readYAML(t, "deploy/kubernetes/sidecar.yaml")[0], "data", "gateway.yaml").(string), nil)
	var open, fenced string
	for _, rule := range at(t, policies[0], "spec", "ingress").([]any) {
		port := ":" + yamlText(t, at(t, rule, "ports", 0, "port"))
		if _, restricted := rule.(map[string]any)["from"]; restricted {
			fenced = port
		} else {
			open = port
		}
	}
	if open != sidecar.Server.Listen || fenced != sidecar.Admin.Listen {
		t.Errorf("open to all is %s, to monitoring %s; want %s and %s", open, fenced, sidecar.Server.Listen, sidecar.Admin.Listen)
	}
}
