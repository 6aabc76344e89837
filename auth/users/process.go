package users

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// processIdle is how long a process that hashes is kept for the next login. It
// takes some 15 MiB meanwhile.
const processIdle = 30 * time.Second

// Process computes hashes outside of this process, at the lowest priority. A
// hash keeps a processor busy for 20 ms and more; inside this process nothing
// but the kernel could take the processor away from it, for a request, and to
// the kernel both would be one.
//
// It has as many processes as hashes are computed at once, each of which answers
// one question after the other. They end when they were idle for half a minute,
// when Close is called, and by themselves when this process ends.
type Process struct {
	cfg  ProcessConfig
	keep time.Duration // processIdle, but in tests

	mu     sync.Mutex
	idle   []*worker
	closed bool
	warned bool // that none can be started
}

// ProcessConfig configures a [Process]. All must be set.
type ProcessConfig struct {
	// Command is the command line, with the program's path in front, of a
	// process that runs [ServeHashes] on its standard input and output. It gets
	// no environment.
	Command []string
	Log     *slog.Logger
}

// worker is one running process.
type worker struct {
	cmd     *exec.Cmd
	in, out *os.File
	answers *bufio.Reader
	retire  *time.Timer
}

// question and answer are what is said to a worker and by it, a line of JSON each.
type (
	question struct {
		Hash     string `json:"hash"`
		Password string `json:"password"`
	}
	answer struct {
		Matches bool `json:"matches"`
	}
)

// NewProcess returns a Process; the first is started by the first hash.
func NewProcess(cfg ProcessConfig) (*Process, error) {
	if len(cfg.Command) == 0 || cfg.Log == nil {
		return nil, errors.New("users: a process that hashes needs Command and Log")
	}
	return &Process{cfg: cfg, keep: processIdle}, nil
}

// matches reports whether the prepared password is that of the hash. It fails
// when the process ends meanwhile (the next one gets another), or ctx is done.
// Where no process can be started, it hashes in this one.
func (p *Process) matches(ctx context.Context, h PasswordHash, password string) (bool, error) {
	w, err := p.take()
	if err != nil {
		p.warn(err)
		return h.matches(password), nil
	}
	stop := context.AfterFunc(ctx, func() { _ = w.out.SetReadDeadline(time.Unix(1, 0)) })
	matches, err := w.ask(h, password)
	if stop() && err == nil {
		p.put(w)
		return matches, nil
	}
	w.end() // it may still be hashing
	if err != nil {
		err = errors.Join(fmt.Errorf("users: the process that hashes passwords gave no answer: %w", err), ctx.Err())
	}
	return matches, err
}

// ask does not wait for the question to be taken: a line fits into the pipe.
func (w *worker) ask(h PasswordHash, password string) (bool, error) {
	line, err := json.Marshal(question{h.line(), password})
	if err != nil {
		return false, err
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return false, err
	}
	line, err = w.answers.ReadBytes('\n')
	if err != nil {
		return false, err
	}
	var a answer
	err = json.Unmarshal(line, &a)
	return a.Matches && err == nil, err
}

// take returns an idle worker, or starts one.
func (p *Process) take() (*worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if w.retire.Stop() {
			return w, nil
		}
	}
	w, err := start(p.cfg.Command)
	p.warned = p.warned && err != nil
	return w, err
}

func start(command []string) (*worker, error) {
	in, toWorker, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromWorker, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), toWorker.Close())
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout = []string{}, "/", in, out
	err = errors.Join(cmd.Start(), in.Close(), out.Close())
	if err != nil {
		return nil, errors.Join(err, toWorker.Close(), fromWorker.Close())
	}
	return &worker{cmd: cmd, in: toWorker, out: fromWorker, answers: bufio.NewReader(fromWorker)}, nil
}

// put keeps a worker for the next hash.
func (p *Process) put(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.end()
		return
	}
	w.retire = time.AfterFunc(p.keep, func() { p.forget(w) })
	p.idle = append(p.idle, w)
}

// forget ends a worker that was idle for long.
func (p *Process) forget(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(other *worker) bool { return other == w })
	w.end()
}

func (p *Process) warn(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.warned {
		p.warned = true
		p.cfg.Log.Warn("users: no process can be started that hashes passwords at low priority; "+
			"they are hashed in this one, and many logins slow other requests down", "error", err)
	}
}

// Close ends the idle processes, and those at work when they are done.
func (p *Process) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		w.retire.Stop()
		w.end()
	}
	p.idle = nil
}

func (w *worker) end() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // it was killed
	_ = w.in.Close()
	_ = w.out.Close()
}

// ServeHashes is the other side of [Process]: it answers the questions that it
// reads until there are no more, and gives way to every other process of the
// machine. It fails when a question cannot be read.
func ServeHashes(in io.Reader, out io.Writer) error {
	giveWay()
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q question
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errors.New("users: this is no question about a hash")
		}
		h, err := ParseHash(q.Hash)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer{h.matches(q.Password)}); err != nil {
			return err
		}
	}
}
