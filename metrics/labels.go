package metrics

import (
	"slices"
	"strconv"
)

// methods are the values of the label `method`. Index 0 stands for every other
// method: a client can send any token as one (RFC 9110 §9.1).
var methods = [...]string{"other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func methodIndex(method string) int { return max(slices.Index(methods[:], method), 0) }

// statuses are the values of the label `status`. An upstream may answer with
// any number; one that is not here is counted under its class, written so that
// a matcher such as status=~"5.." finds it too.
var statuses = [...]string{
	"other", "1xx", "2xx", "3xx", "4xx", "5xx",
	"101",
	"200", "201", "202", "204", "206",
	"301", "302", "303", "304", "307", "308",
	"400", "401", "403", "404", "405", "406", "408", "409", "410", "411", "412", "413",
	"414", "415", "416", "417", "422", "425", "426", "428", "429", "431", "451", "499",
	"500", "501", "502", "503", "504", "505",
}

// firstCode is the index of the first status that is a number.
const firstCode = 6

// statusIndexes maps a status to its place in statuses.
var statusIndexes = func() (indexes [600]uint8) {
	for code := 100; code < len(indexes); code++ {
		indexes[code] = uint8(code / 100)
	}
	for i, label := range statuses[firstCode:] {
		code, err := strconv.Atoi(label)
		if err != nil {
			panic("metrics: " + err.Error())
		}
		indexes[code] = uint8(firstCode + i)
	}
	return indexes
}()

func statusIndex(status int) int {
	if status < 0 || status >= len(statusIndexes) {
		return 0
	}
	return int(statusIndexes[status])
}
