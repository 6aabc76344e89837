package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"math/big"
	"math/bits"
	"sync"

	"filippo.io/nistec"
)

// A screen finds forged signatures out quickly, where Go's own verification takes
// long: on P-384 and P-521, and for RSA of more than 2048 bits. Whoever makes a
// signature up pays nothing for it, so that we should not pay much. It comes to the
// same verdict, but is believed only when that is no: what it lets through is
// verified by the standard library all the same. A fault here could keep good tokens
// out; it could let none in.
//
// It is fast because it has no secrets to hide (math/big), and because what can be
// computed of the key alone is computed once.
type screen func(hash, signature []byte) bool

// newScreen returns the key's, and the hash that it wants; nil where Go verifies quickly.
func newScreen(alg string, public crypto.PublicKey) (screen, crypto.Hash) {
	h := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsaScreen(k), h
	case *rsa.PublicKey:
		if a2family(alg) == "PS" {
			return rsaScreen(k, h, pss), h
		}
		return rsaScreen(k, h, pkcs1), h
	}
	return nil, 0
}

// digest is the hash of the parts.
func digest(h crypto.Hash, parts ...[]byte) []byte {
	d := h.New()
	for _, p := range parts {
		_, _ = d.Write(p) // never fails (package hash)
	}
	return d.Sum(nil)
}

// point is one of nistec's points.
type point[P any] interface {
	Set(P) P
	Add(P, P) P
	Double(P) P
	SetBytes([]byte) (P, error)
	BytesX() ([]byte, error)
}

// teeth is how many bits of each scalar one addition does: those that a comb with
// so many teeth, evenly over the whole scalar, would touch.
const teeth = 8

// comb has all sums of 2^(i*distance) * p, i < teeth: the i-th is part of those whose
// index has the i-th bit (Lim and Lee, "More Flexible Exponentiation with
// Precomputation", 1994).
func comb[P point[P]](newPoint func() P, p P, distance int) []P {
	sums := make([]P, 1<<teeth)
	sums[0] = newPoint()
	tooth := newPoint().Set(p)
	for i := range teeth {
		for j := range 1 << i {
			sums[1<<i+j] = newPoint().Add(sums[j], tooth)
		}
		for range distance {
			tooth.Double(tooth)
		}
	}
	return sums
}

// spacing is the distance between the teeth of a comb over scalars of so many bits.
func spacing(bits int) int { return (bits + teeth - 1) / teeth }

// under is the index of the bits of the scalar that are under the comb's teeth.
func under(scalar *big.Int, at, distance int) (index uint) {
	for i := range teeth {
		index |= scalar.Bit(at+i*distance) << i
	}
	return index
}

// What is had of the curves themselves is made when a key of theirs is.
var (
	generator384 = sync.OnceValue(func() []*nistec.P384Point {
		return comb(nistec.NewP384Point, nistec.NewP384Point().SetGenerator(), spacing(384))
	})
	generator521 = sync.OnceValue(func() []*nistec.P521Point {
		return comb(nistec.NewP521Point, nistec.NewP521Point().SetGenerator(), spacing(521))
	})
)

func ecdsaScreen(key *ecdsa.PublicKey) screen {
	switch key.Curve {
	case elliptic.P384():
		return combed(nistec.NewP384Point, key, generator384())
	case elliptic.P521():
		return combed(nistec.NewP521Point, key, generator521())
	}
	return nil
}

// combed verifies as SEC 1, version 2.0, section 4.1.4 has it, signatures in the form
// of RFC 7518 §3.4.
func combed[P point[P]](newPoint func() P, key *ecdsa.PublicKey, generator []P) screen {
	n := key.Params().N
	distance := spacing(n.BitLen())
	size := (n.BitLen() + 7) / 8
	encoded, err := key.Bytes()
	if err != nil {
		return nil // no point of its curve: no key either
	}
	q, err := newPoint().SetBytes(encoded)
	if err != nil {
		return nil
	}
	public := comb(newPoint, q, distance)
	return func(hash, signature []byte) bool {
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		if s.Sign() == 0 || s.Cmp(n) >= 0 {
			return false // r is in its bounds when it is what it must be
		}
		e := new(big.Int).SetBytes(hash) // of no more bits than n has, for these algorithms
		w := new(big.Int).ModInverse(s, n)
		u1 := e.Mod(e.Mul(e, w), n)
		u2 := w.Mod(w.Mul(r, w), n)
		sum := newPoint()
		for at := distance - 1; at >= 0; at-- {
			sum.Double(sum)
			sum.Add(sum, generator[under(u1, at, distance)])
			sum.Add(sum, public[under(u2, at, distance)])
		}
		encoded, err := sum.BytesX()
		if err != nil {
			return false // the point at infinity
		}
		x := new(big.Int).SetBytes(encoded)
		return x.Mod(x, n).Cmp(r) == 0
	}
}

// fastRSA is up to how many bits of a modulus Go has fast code.
const fastRSA = 2048

// rsaScreen recovers the message that was signed (RFC 8017 §5.2.2) and has encodes
// tell whether it is the hash's. The modulus has so many bits.
func rsaScreen(key *rsa.PublicKey, h crypto.Hash, encodes func(h crypto.Hash, message, hash []byte, bits int) bool) screen {
	length := key.N.BitLen()
	if length <= fastRSA {
		return nil
	}
	return func(hash, signature []byte) bool {
		s := new(big.Int).SetBytes(signature)
		if len(signature) != key.Size() || s.Cmp(key.N) >= 0 {
			return false
		}
		message := power(s, uint(key.E), key.N).FillBytes(make([]byte, key.Size()))
		return encodes(h, message, hash, length)
	}
}

// power is x^e mod n for e > 0, in a quarter of the memory that Exp takes.
func power(x *big.Int, e uint, n *big.Int) *big.Int {
	z, product, quotient := new(big.Int).Set(x), new(big.Int), new(big.Int)
	for i := bits.Len(e) - 2; i >= 0; i-- {
		product.Mul(z, z)
		quotient.QuoRem(product, n, z)
		if e>>i&1 == 1 {
			product.Mul(z, x)
			quotient.QuoRem(product, n, z)
		}
	}
	return z
}

// pkcs1 is the second half of RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2, §9.2), for SHA-2.
func pkcs1(h crypto.Hash, message, hash []byte, _ int) bool {
	id := map[crypto.Hash]byte{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}[h]
	size := byte(h.Size())
	info := []byte{0, 0x30, 17 + size, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, id, 5, 0, 4, size}
	begin, rest := message[:2], message[2:]
	padding := rest[:len(rest)-len(info)-len(hash)]
	return begin[0] == 0 && begin[1] == 1 && allSame(padding, 0xff) && bytes.Equal(rest[len(padding):], append(info, hash...))
}

// pss is EMSA-PSS-VERIFY (RFC 8017 §9.1.2) with MGF1 and a salt of the hash's length
// (RFC 7518 §3.5).
func pss(h crypto.Hash, message, hash []byte, bits int) bool {
	size := h.Size()
	em := message[len(message)-(bits-1+7)/8:]
	if len(em) < len(message) && message[0] != 0 {
		return false
	}
	masked, seed := em[:len(em)-size-1], em[len(em)-size-1:len(em)-1]
	first := byte(0xff) >> (8*len(em) - (bits - 1)) // the bits that the first byte may have
	if em[len(em)-1] != 0xbc || em[0]&^first != 0 {
		return false
	}
	db := mgf1(h, seed, len(masked))
	subtle.XORBytes(db, db, masked)
	db[0] &= first
	padding, salt := db[:len(db)-size-1], db[len(db)-size:]
	if !allSame(padding, 0) || db[len(padding)] != 1 {
		return false
	}
	return bytes.Equal(seed, digest(h, make([]byte, 8), hash, salt))
}

// mgf1 is the mask of that length (RFC 8017 appendix B.2.1).
func mgf1(h crypto.Hash, seed []byte, length int) (mask []byte) {
	for i := uint32(0); len(mask) < length; i++ {
		mask = append(mask, digest(h, seed, binary.BigEndian.AppendUint32(nil, i))...)
	}
	return mask[:length]
}
