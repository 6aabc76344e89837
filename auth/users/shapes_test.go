package users

import (
	"fmt"
	"testing"
)

func TestA01DummiesAreLikeUsers(t *testing.T) {
	cheap, dear, odd := shape{cost: 4}, shape{cost: 10}, shape{memory: 64, time: 1, threads: 1, saltLen: 8, keyLen: 16}
	var s shapes
	if s.dummy("anna").shape != defaultShape {
		t.Error("without any user the dummy is not what new users have")
	}
	s.mix("secret")
	for range 60 {
		s.add(cheap)
	}
	for range 30 {
		s.add(dear)
	}
	for range 10 {
		s.add(odd)
	}
	const names = 10000
	got := map[shape]int{}
	for i := range names {
		got[s.dummy(fmt.Sprint("user", i)).shape]++
	}
	for kind, percent := range map[shape]int{cheap: 60, dear: 30, odd: 10} {
		if n := got[kind] * 100 / names; n < percent-3 || n > percent+3 {
			t.Errorf("%d %% of the dummies are %+v, want %d %%", n, kind, percent)
		}
	}
}

// A name that has one kind today and another tomorrow, or in another replica,
// is nobody's.
func TestA01DummiesStay(t *testing.T) {
	a, b := shape{cost: 4}, shape{cost: 5}
	make := func(secret string, kinds ...shape) *shapes {
		s := &shapes{}
		s.mix(secret)
		for _, k := range kinds {
			s.add(k)
		}
		return s
	}
	one, two, other := make("secret", a, b), make("secret", b, a), make("other", a, b)
	differ := 0
	for i := range 1000 {
		name := fmt.Sprint("user", i)
		if one.dummy(name).shape != two.dummy(name).shape {
			t.Fatalf("%s has two kinds", name)
		}
		if one.dummy(name).shape != other.dummy(name).shape {
			differ++
		}
	}
	if differ < 300 {
		t.Errorf("the kinds of %d of 1000 names depend on the secret", differ)
	}
	// The secret is the users' own: another list has another.
	anna, bob := Record{ID: "1", Username: "anna", PasswordHash: argonOther}, Record{ID: "2", Username: "bob", PasswordHash: bcryptOther}
	x, _ := counting(t, mustFile(t, "file", anna, bob))
	y, _ := counting(t, mustFile(t, "another replica's", anna, bob))
	z, _ := counting(t, mustFile(t, "file", bob, anna))
	if x.shapes.key != y.shapes.key || x.shapes.key == z.shapes.key {
		t.Error("the secret does not go with the users")
	}
}

func TestShapesAreBounded(t *testing.T) {
	var s shapes
	for i := range maxShapes + 10 {
		s.add(shape{cost: i + 1})
	}
	if len(s.kinds) != maxShapes || s.total != maxShapes {
		t.Errorf("%d kinds of %d users are kept", len(s.kinds), s.total)
	}
	s.add(shape{cost: 1})
	if s.total != maxShapes+1 {
		t.Error("a kind that is known is not counted")
	}
}
