package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxUsersFileBytes bounds a users file. UserSource.File says the same.
const maxUsersFileBytes = 16 << 20

// User is one user of a users file.
type User struct {
	ID           string `yaml:"id" required:"is missing: say who it is for applications; it becomes the claim sub" doc:"Who it is for applications: the claim sub. It is never given to another."`
	Username     string `yaml:"username" doc:"What the user logs in with, in any case of its letters."`
	Email        string `yaml:"email" doc:"Another name to log in with; the claim email."`
	PasswordHash Secret `yaml:"password_hash" required:"is missing: gatehouse user hash makes one" doc:"argon2id or bcrypt hash of the password, in quotes; gatehouse user hash prints it."`
	Disabled     bool   `yaml:"disabled" default:"false" doc:"Lets the user neither log in nor refresh."`
	Claims       Claims `yaml:"claims" doc:"Claims of the user's tokens, any YAML. Those that the token service sets itself are an error."`
}

// UsersFile is what stands in a users file.
type UsersFile struct {
	Users []User

	source
}

// LoadUsers reads a users file, as strictly as the config and without references:
// hashes are full of dollar signs. What is wrong with the content comes back all
// at once, as Problems, and with it the users as far as they could be read. What
// is wrong with names and hashes is not looked for.
func LoadUsers(file File) (*UsersFile, error) {
	data, err := file.read(maxUsersFileBytes)
	if err != nil {
		return nil, Problems{{File: string(file), Message: fault(err)}}
	}
	return ParseUsers(string(file), data)
}

// ParseUsers is LoadUsers for content that has been read already.
func ParseUsers(name string, data []byte) (*UsersFile, error) {
	src, err := newSource(name)
	if err != nil {
		return nil, err
	}
	root, problem := document(data, maxUsersFileBytes)
	if problem == nil && root.Kind != yaml.SequenceNode {
		problem = &Problem{Line: root.Line, Column: root.Column, Message: "the file must be a list of users: - id: …"}
	}
	if problem != nil {
		problem.File = name
		return nil, Problems{*problem}
	}
	f := &UsersFile{source: src}
	d := newDecoder(&f.source, nil, environment{})
	d.literal, d.maxNodes = true, maxNodes*(maxUsersFileBytes/maxFileBytes)
	d.decodeList("", root, reflect.ValueOf(&f.Users).Elem(), field{})
	if len(d.problems) > 0 {
		d.problems.Sort()
		return f, d.problems
	}
	return f, nil
}

// Problem returns a problem with a key of the user at that index, as in email or
// claims.roles, or with the user as a whole where field is empty.
func (f *UsersFile) Problem(index int, field, format string, args ...any) Problem {
	path := fmt.Sprintf("[%d]", index)
	if claim, ok := strings.CutPrefix(field, "claims."); ok {
		field = "claims." + printable(claim)
	}
	if field != "" {
		path += "." + field
	}
	return f.source.Problem(path, format, args...)
}
