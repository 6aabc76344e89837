package gateway

import (
	"errors"
	"fmt"

	"gatehouse/auth/users"
	"gatehouse/config"
)

// users returns the directory of the configured sources, nil when something is
// wrong with them. Without sources it knows nobody.
func (b *builder) users(sources []config.UserSource) *users.Directory {
	var all []users.Source
	before := len(b.problems)
	ids := map[string]string{} // of users in files, with the file's name
	for i, c := range sources {
		path := fmt.Sprintf("token_service.users[%d]", i)
		var s users.Source
		var err error
		switch {
		case c.File != "":
			s = b.usersFile(path+".file", c, ids)
		case c.Postgres != nil:
			s, err = users.NewPostgres(users.PostgresConfig{
				Name: c.Name, URL: c.Postgres.URL.Reveal(), Query: c.Postgres.Query,
				Timeout: c.Postgres.Timeout.Std(), MaxConnections: c.Postgres.MaxConnections, Log: b.parts.log,
			})
		case c.HTTP != nil:
			if c.HTTP.LookupURL == "" {
				b.warnings = append(b.warnings, b.cfg.Problem(path+".http", "has no lookup_url: a user who is disabled there can refresh until max_session").Error())
			}
			s, err = users.NewHTTP(users.HTTPConfig{
				Name: c.Name, URL: c.HTTP.URL, LookupURL: c.HTTP.LookupURL, Timeout: c.HTTP.Timeout.Std(),
				TLS: b.clientTLS(path+".http.tls", c.HTTP.TLS),
			})
		}
		if err != nil {
			b.fault(path, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		nobody, _ := users.NewFile("nobody", nil) // nothing can be wrong with no users
		all = append(all, nobody)
	}
	if len(b.problems) > before {
		return nil
	}
	directory, err := users.NewDirectory(users.DirectoryConfig{Sources: all, Hasher: b.parts.hasher, Log: b.parts.log})
	if err != nil {
		b.fault("token_service.users", err)
		return nil
	}
	return directory
}

// usersFile reads a users file. What is wrong with it is told by its own lines.
func (b *builder) usersFile(path string, c config.UserSource, ids map[string]string) users.Source {
	f, err := config.LoadUsers(c.File)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		b.problems = append(b.problems, problems...)
		return nil
	case err != nil:
		b.fault(path, err)
		return nil
	}
	records := make([]users.Record, 0, len(f.Users))
	for i, u := range f.Users {
		if other := ids[u.ID]; other != "" && other != c.Name { // who asks services by sub would take them for one
			b.problems = append(b.problems, f.Problem(i, "id", "is that of a user in %s too", other))
		}
		ids[u.ID] = c.Name
		records = append(records, users.Record{
			ID: u.ID, Username: u.Username, Email: u.Email, PasswordHash: u.PasswordHash.Reveal(), Disabled: u.Disabled, Claims: u.Claims,
		})
	}
	source, err := users.NewFile(c.Name, records)
	var wrong users.RecordErrors
	if errors.As(err, &wrong) {
		for _, e := range wrong {
			b.problems = append(b.problems, f.Problem(e.Index, e.Field, "%v", e.Err))
		}
	}
	return source
}
