package wire

// Bounds of the chunked coding.
const (
	maxChunkDigits = 15       // hex digits of a size; more could overflow
	maxChunkExtra  = 16 << 10 // bytes of chunk extensions and trailers in one body
)

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	lastLF
	chunksDone
)

// chunks follows the chunked coding of one body (RFC 9112 §7.1). It lets
// through sizes and data and drops extensions and trailers: nobody behind may
// take a credential from them, and no bound of net/http's can be met.
type chunks struct {
	state  chunkState
	left   int64 // the size being read, or what is to come of the data
	digits int
	extra  int
}

// filter goes on with b. The first out bytes of b are then what to hand on,
// made of its first in bytes; what is behind those is no longer of this body.
func (k *chunks) filter(b []byte) (out, in int, f *Fault) {
	for in < len(b) && k.state != chunksDone {
		if k.state == chunkData {
			n := int(min(k.left, int64(len(b)-in)))
			if out != in {
				copy(b[out:], b[in:in+n])
			}
			out, in, k.left = out+n, in+n, k.left-int64(n)
			if k.left == 0 {
				k.state = chunkDataCR
			}
			continue
		}
		keep, ok := k.step(b[in])
		if !ok || k.extra > maxChunkExtra {
			return out, in, malformed("the chunked body is malformed")
		}
		if keep {
			b[out] = b[in]
			out++
		}
		in++
	}
	return out, in, nil
}

// step takes one byte that is not data. keep: hand it on; ok false: it must not
// stand here.
func (k *chunks) step(b byte) (keep, ok bool) {
	switch k.state {
	case chunkSize:
		return k.size(b)
	case chunkExtension:
		if b == '\r' {
			k.state = chunkSizeLF
			return true, true
		}
		k.extra++
		return false, class[b]&inValue != 0
	case chunkSizeLF:
		k.state = chunkData
		if k.left == 0 {
			k.state = trailerStart
		}
		return true, b == '\n'
	case chunkDataCR:
		k.state = chunkDataLF
		return true, b == '\r'
	case chunkDataLF:
		k.state, k.digits = chunkSize, 0
		return true, b == '\n'
	case lastLF:
		k.state = chunksDone
		return true, b == '\n'
	}
	return k.trailer(b)
}

func (k *chunks) size(b byte) (keep, ok bool) {
	switch {
	case class[b]&isHex != 0 && k.digits < maxChunkDigits:
		k.digits++
		k.left = k.left<<4 | int64(hexValue(b))
		return true, true
	case b == ';':
		k.state = chunkExtension
		return false, k.digits > 0
	case b == '\r':
		k.state = chunkSizeLF
		return true, k.digits > 0
	}
	return false, false
}

// trailer takes a byte of the trailer section, of which only the last line end
// is handed on.
func (k *chunks) trailer(b byte) (keep, ok bool) {
	k.extra++
	switch {
	case k.state == trailerStart && b == '\r':
		k.state = lastLF
		return true, true
	case k.state == trailerStart || k.state == trailerName && b != ':':
		k.state = trailerName
		return false, class[b]&inName != 0
	case k.state == trailerName:
		k.state = trailerValue
		return false, true
	case k.state == trailerValue && b != '\r':
		return false, class[b]&inValue != 0
	case k.state == trailerValue:
		k.state = trailerLF
		return false, true
	}
	k.state = trailerStart // after trailerLF
	return false, b == '\n'
}

func hexValue(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return (b | 0x20) - 'a' + 10
}
