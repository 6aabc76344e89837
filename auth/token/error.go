package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/auth"
)

// Error is why an operation was refused. Every error of the engine is one.
type Error struct {
	// Reason is the code that the answer, the log and the metric carry.
	Reason auth.Reason
	// RetryAfter is when asking again makes sense; 0: it does not say.
	RetryAfter time.Duration
	// Detail is for whoever wrote the client, and may be sent: it says what is
	// wrong with the form of the request, never with a secret.
	Detail string
	// Err is the cause, for the log only; it may be nil.
	Err error
}

// Error says all, for the log.
func (e *Error) Error() string {
	s := e.Reason.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refuse returns the error for a reason. What it says is sent: it quotes nothing
// of the request.
func refuse(reason auth.Reason, format string, args ...any) error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// down returns the error for a part that failed, which is no fault of its own
// where the client has gone away.
func down(ctx context.Context, reason auth.Reason, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		reason = auth.ClientClosed
	}
	return &Error{Reason: reason, Err: err}
}
