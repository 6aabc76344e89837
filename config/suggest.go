package config

// suggest returns ` (did you mean "x"?)` with the nearest of the names, or
// nothing when none is near: at most two edits, and no more than half of the
// letters.
func suggest(wrong string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		if d := edits(wrong, name); d < least && 2*d <= len(name) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return ` (did you mean "` + best + `"?)`
}

// edits returns how many letters must be inserted, deleted, replaced or swapped
// with their neighbour to get from a to b, regardless of case.
func edits(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3 // too many for any caller; saves the work on long input
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && lower(a[i-1]) == lower(b[j-2]) && lower(a[i-2]) == lower(b[j-1]) {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
