package config

import "path/filepath"

// UserSource is one place where user names and passwords are checked: exactly
// one of File, Postgres and HTTP is set. After Load its name is set.
type UserSource struct {
	Name     string     `yaml:"name" example:"staff" doc:"What sessions remember it by: refreshes ask the source of that name again, wherever it is by then. Absent: the file's name, postgres or http."`
	File     File       `yaml:"file" private:"true" size:"16MiB" example:"users.yaml" doc:"A YAML list of users, each with id, username, email, password_hash, disabled and claims. Read again when it changes."`
	Postgres *Postgres  `yaml:"postgres" doc:"A PostgreSQL database."`
	HTTP     *HTTPUsers `yaml:"http" doc:"A service that is asked: POST {username, password}, answered 200 {id, claims} or 401."`
}

// defaultName tells sources apart without counting them: another order must not
// give one the users of another.
func (s *UserSource) defaultName() string {
	switch {
	case s.Postgres != nil:
		return "postgres"
	case s.HTTP != nil:
		return "http"
	}
	return filepath.Base(string(s.File))
}

// Postgres is a PostgreSQL database with users in it. After Load, url has the
// value of the variable that url_env names, and url_env is empty.
type Postgres struct {
	URL            Secret   `yaml:"url" doc:"postgres://user:password@host:5432/database."`
	URLEnv         string   `yaml:"url_env" example:"DATABASE_URL" doc:"Name of the environment variable that holds it, instead of url."`
	Query          string   `yaml:"query" required:"is missing: write the query for one user" example:"\"select id, password_hash, email, disabled, claims from users where lower(email) = lower($1)\"" doc:"Query for the user whose name is $1. The columns id and password_hash are needed; email, disabled and claims (JSON) are looked at where they are there."`
	Timeout        Duration `yaml:"timeout" default:"2s" min:"10ms" max:"1m" doc:"Time for one query, connecting included."`
	MaxConnections int      `yaml:"max_connections" default:"4" min:"1" max:"1000" doc:"Connections that are open at once, at most."`
}

// HTTPUsers is a service that checks passwords.
type HTTPUsers struct {
	URL       string    `yaml:"url" required:"is missing: say what to ask, as in http://127.0.0.1:7000/verify" example:"http://127.0.0.1:7000/verify" doc:"Where the password is checked: https, or http on loopback."`
	LookupURL string    `yaml:"lookup_url" example:"http://127.0.0.1:7000/lookup" doc:"Where a refresh asks for the user as it is now: POST {username, id}, answered 200 {id, claims}, or 401, 404 or 410 when it is gone. Absent: a refresh keeps what was said at the login."`
	Timeout   Duration  `yaml:"timeout" default:"2s" min:"10ms" max:"1m" doc:"Time for one answer."`
	TLS       ClientTLS `yaml:"tls" doc:"How an https server is spoken to. The files are read again when they change."`
}
