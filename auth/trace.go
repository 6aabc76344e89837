package auth

// Step is one check of a decision that was taken step by step, for people who
// ask why.
type Step struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, skipped, or the code of a Reason
	Detail string `json:"detail,omitempty"`
}

// Skipped is the result of a step that had nothing to check.
const Skipped = "skipped"

// check is one step of a decision about a T.
type check[T any] struct {
	name string
	// run returns OK, or why the request is denied. Undecided means that there
	// was nothing to check.
	run func(T) Reason
	// describe tells what was looked at; it is only called for a trace.
	describe func(T) string
}

// run takes the steps in order until one denies. It returns OK when none did.
// A trace, where there is one, gains a Step for each step taken.
func run[T any](checks []check[T], subject T, trace *[]Step) Reason {
	for i := range checks {
		reason := checks[i].run(subject)
		if trace != nil {
			step := Step{Check: checks[i].name, Result: reason.String()}
			if reason == Undecided {
				step.Result = Skipped
			}
			if checks[i].describe != nil {
				step.Detail = checks[i].describe(subject)
			}
			*trace = append(*trace, step)
		}
		if reason != OK && reason != Undecided {
			return reason
		}
	}
	return OK
}
