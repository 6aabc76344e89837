package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// File is the path of a file that the config names. After Load it is absolute,
// or empty when none is named, and was readable then.
type File string

// maxFileBytes bounds every file that the config brings in, itself included, but
// for those that say otherwise.
const maxFileBytes = 1 << 20

var errFolder = errors.New("is a folder, not a file")

// tooLarge is the error for a file that is larger than so many bytes.
type tooLarge int64

// Error says it in MiB.
func (t tooLarge) Error() string { return fmt.Sprintf("is larger than %d MiB", int64(t)>>20) }

// Read returns the file's content. An error never contains any of it.
func (f File) Read() ([]byte, error) { return f.read(maxFileBytes) }

// read is Read for a file that may have so many bytes.
func (f File) read(limit int64) ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: string(f), Err: errFolder}
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: string(f), Err: tooLarge(limit)}
	}
	return data, nil
}

// ReadSecret returns the file's content less one trailing line end, which
// editors and `echo` put there.
func (f File) ReadSecret() (Secret, error) {
	data, err := f.Read()
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(data), "\n")
	return Secret(strings.TrimSuffix(text, "\r")), nil
}

// open reports whether others than the owner may do anything with the file
// (C07 of the threat list).
func (f File) open() bool {
	info, err := os.Stat(string(f))
	return err == nil && info.Mode().Perm()&0o077 != 0
}

// fault returns what is wrong with a file that could not be read, without its
// path, which may have come from a variable.
func fault(err error) string {
	var large tooLarge
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read the file"
	case errors.As(err, &large):
		return "the file " + large.Error()
	case errors.Is(err, errFolder):
		return errFolder.Error()
	default:
		return "the file cannot be read"
	}
}
