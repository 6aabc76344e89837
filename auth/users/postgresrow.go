package users

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

var (
	neededColumns   = []string{"id", "password_hash"}
	optionalColumns = []string{"email", "disabled", "claims"}
)

// checkColumns refuses a query that lacks a column or has one twice, and tells
// once of columns that mean nothing.
func (p *Postgres) checkColumns(names []string) error {
	seen := map[string]bool{}
	var ignored []string
	for _, name := range names {
		lower := strings.ToLower(name)
		switch {
		case !slices.Contains(neededColumns, lower) && !slices.Contains(optionalColumns, lower):
			ignored = append(ignored, name)
		case seen[lower]:
			return fmt.Errorf("the query returns the column %s twice", lower)
		}
		seen[lower] = true
	}
	for _, name := range neededColumns {
		if !seen[name] {
			return fmt.Errorf("the query returns no column %s: name it with … as %s", name, name)
		}
	}
	if ignored != nil {
		p.ignored.Do(func() {
			p.cfg.Log.Warn("users: the query returns columns that have no effect; those that have are id, password_hash, email, disabled and claims",
				"source", p.cfg.Name, "columns", ignored)
		})
	}
	return nil
}

// recordOf reads a row, whose null columns are left out.
func recordOf(row map[string][]byte) (Record, error) {
	r := Record{ID: string(row["id"]), PasswordHash: string(row["password_hash"]), Email: string(row["email"])}
	if v, ok := row["disabled"]; ok {
		disabled, err := strconv.ParseBool(string(v))
		if err != nil {
			return Record{}, errors.New("the column disabled is no boolean")
		}
		r.Disabled = disabled
	}
	if v, ok := row["claims"]; ok {
		if err := json.Unmarshal(v, &r.Claims); err != nil {
			return Record{}, errors.New("the column claims is no JSON object, or has a name twice")
		}
	}
	return r, nil
}
