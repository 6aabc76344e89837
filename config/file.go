package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// File is the path of a file that the config names. After Load it is absolute,
// or empty when none is named, and was readable then.
type File string

// maxFileBytes bounds every file that the config brings in, itself included.
const maxFileBytes = 1 << 20

var (
	errTooLarge = errors.New("is larger than 1 MiB")
	errFolder   = errors.New("is a folder, not a file")
)

// Read returns the file's content. An error never contains any of it.
func (f File) Read() ([]byte, error) {
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
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, &fs.PathError{Op: "read", Path: string(f), Err: errTooLarge}
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
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read the file"
	case errors.Is(err, errTooLarge):
		return "the file " + errTooLarge.Error()
	case errors.Is(err, errFolder):
		return errFolder.Error()
	default:
		return "the file cannot be read"
	}
}
