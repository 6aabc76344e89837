package keyset

import (
	"crypto"
	"crypto/rsa"
	"math/big"
)

// smallPrimes are those by which the moduli of CVE-2017-15361 (ROCA) give
// themselves away; a good modulus looks like one of them once in a hundred
// million.
var smallPrimes = []uint64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
	127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// isFactorable reports whether a key is an RSA key that gives its factors away:
// one of them is small, or its maker's primes are powers of 65537 to every small
// modulus (ROCA).
func isFactorable(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return false
	}
	powers := 0
	for _, p := range smallPrimes {
		rest := new(big.Int).Mod(k.N, new(big.Int).SetUint64(p)).Uint64()
		if rest == 0 {
			return true
		}
		if isPower(rest, 65537%p, p) {
			powers++
		}
	}
	return k.N.Bit(0) == 0 || powers == len(smallPrimes)
}

// isPower reports whether n is a power of base modulo p.
func isPower(n, base, p uint64) bool {
	for power := base; power != n; power = power * base % p {
		if power == 1 {
			return false
		}
	}
	return true
}
