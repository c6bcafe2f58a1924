package stripekittest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stripekit/stripekit"
)

// pollerKeys are keys as Pollers and Backfills have them, which every store must
// keep: the parts are escaped as in a path, and separated by slashes.
var pollerKeys = []string{
	"test///charges//",
	"live///charges//",
	"test///customers//",
	"test///charges//orders",
	"test///charges//Orders",
	"test///charges//ORDERS",
	"test///charges//orders%20",
	"test///charges//orders%20%20",
	"test///charges//orders%2F",
	"test///charges//%2Forders",
	"test///charges//orders.",
	"test///charges//orders..",
	"test///charges//.",
	"test///charges//..",
	"test///charges//-",
	"test///charges//_",
	"test///charges//~",
	"test///charges//$@&=+:",
	"test///charges//%2A",
	"test///charges//%3E",
	"test///charges//%25",
	"test///charges//%00",
	"test///charges//%0A",
	"test///charges//%27%3B%20DROP%20TABLE%20checkpoints%3B%20--",
	"test///charges//%C3%BC",
	"test///charges//u%CC%88",
	"test///charges//%E6%97%A5%E6%9C%AC",
	"test///charges//%F0%9F%98%80",
	"test/shop%201//charges//orders",
	"test//acct_1032D82eZvKYlo2C/charges//orders",
	"test//acct_1032d82eZvKYlo2C/charges//orders",
	"test///charges/customer=cus_1&created%255Bgte%255D=1700000000/orders",
	"backfill/test///charges//orders",
	"test///charges//" + strings.Repeat("n", 200),
	"test///charges//" + strings.Repeat("n", 199) + "N",
}

// hostileKeys are keys that a store may refuse. Otherwise it must distinguish them.
// Those that a careless store confuses are neighbours.
var hostileKeys = []string{
	"", " ", "  ", "\t", "\n", "\r\n", "\x00", "\x7f",
	"a", "A", "a ", "a  ", " a", "a\t", "a\n", "a\r", "a\x00", "a\x00b", "\ufeffa", "a\u200b", "ａ",
	"ab", "a b", "a  b", "a\tb", "a+b", "a%20b", "a%2520b", "a_b", "a-b", "a.b", "a,b", "a:b", "a;b", "a=b", "a~b", "a|b",
	"a/b", "a//b", "a/./b", "a/../b", "/a/b", "a/b/", "/", "//", `a\b`, `a\\b`, `\`, `\a`, "a%2Fb",
	".", "..", "...", ".a", "a.", "..a", "a..b", "../a", "../../a", "/etc/passwd", "/dev/null", "~", "~root", `C:\a`, `\\host\a`,
	"*", "a*", "**", "?", ">", "a.>", "a.*", "a/*", "#", "a#", "$", "$SYS", "$1", "_", "__", "%", "%%", "a%", "%a%", "a_", "-", "--", "+",
	`'`, `''`, `"`, `""`, "`", "a'b", `a"b`, "a`b", "a' OR '1'='1", "a'; DROP TABLE stripekit_checkpoints; --", `a"; DROP TABLE stripekit_checkpoints; --`,
	"a' UNION SELECT 1", "a/*b*/", "a--b", "NULL", "null", "nil", "true", "0", "00", "1", "1.0", "1e0", "[a]", "{a}", "{}", "(a)", "<a>", "a&b", "&amp;",
	"ü", "Ü", "ue", "u", "u\u0308", "U\u0308", "ß", "ss", "SS", "ẞ", "é", "e", "i", "I", "ı", "İ", "ﬁ", "fi", "Å", "\u212b", "K", "\u212a", "k",
	"日本", "日本 ", "日", "にほん", "ニホン", "ﾆﾎﾝ", "😀", "😁", "👩‍👩‍👧", "👩", "\U00010000", "\uffff", "\ufffd",
	"\xff", "\xfe", "\xff\xfe", "\xc3", "\xc3\xbc\xff", "\xed\xa0\x80",
	"CON", "con", "con.txt", "NUL", "nul", "AUX", "PRN", "COM1", "LPT1", "CONIN$", "a:stream", "a.lock", "a.tmp", "a.checkpoint", "desktop.ini",
	"test///charges//orders", "test///charges//orders/", "test/charges/orders", "test.charges.orders", "test___charges__orders",
	strings.Repeat("x", 63), strings.Repeat("x", 64), strings.Repeat("x", 127), strings.Repeat("x", 128),
	strings.Repeat("x", 254), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("x", 257),
	strings.Repeat("x", 1000), strings.Repeat("x", 999) + "y", "y" + strings.Repeat("x", 999),
	strings.Repeat("x", 2048), strings.Repeat("x", 2049), strings.Repeat("x", 2050),
	strings.Repeat("x", 4000), strings.Repeat("x", 3999) + "y", strings.Repeat("ü", 500), strings.Repeat("ü", 499) + "u",
	strings.Repeat("/", 300), strings.Repeat("../", 300), strings.Repeat("a/", 300),
}

func checkPollerKeys(t *storeTest) {
	keys := t.keepKeys(pollerKeys)
	for _, key := range pollerKeys {
		if _, ok := keys[key]; !ok {
			t.Errorf("the key %.60q is refused, and Pollers have such keys", key)
		}
	}
}

func checkHostileKeys(t *storeTest) {
	kept := t.keepKeys(hostileKeys)
	var refused []string
	for _, key := range hostileKeys {
		if _, ok := kept[key]; !ok {
			refused = append(refused, fmt.Sprintf("%.20q (%d bytes)", key, len(key)))
		}
	}
	t.Logf("%d keys are kept, %d are refused: %s", len(kept), len(refused), strings.Join(refused, ", "))
}

// keepKeys saves a checkpoint under each key that is not refused, and replaces and
// deletes some, each time with a look at all others. It returns the keys that are
// kept at the end, which are all that are not refused.
func (t *storeTest) keepKeys(keys []string) map[string]uint64 {
	t.Helper()
	s, other := t.open(), t.open()
	kept := map[string]uint64{}
	for _, key := range keys {
		if revision, ok := s.saveOrRefuse(key, dataOf(key, 0)); ok {
			kept[key] = revision
		}
	}
	version := map[string]int{}
	verify := func(absent func(i int) bool) {
		t.Helper()
		for i, key := range keys {
			if _, ok := kept[key]; !ok {
				continue
			}
			if absent(i) {
				other.lacks(key)
			} else {
				other.has(key, dataOf(key, version[key]), kept[key])
			}
		}
	}
	verify(func(int) bool { return false })
	for parity := range 2 {
		ofParity := func(i int) bool { return i%2 == parity }
		for i, key := range keys {
			if _, ok := kept[key]; ok && ofParity(i) {
				s.remove(key)
			}
		}
		verify(ofParity)
		for i, key := range keys {
			if _, ok := kept[key]; ok && ofParity(i) {
				version[key]++
				kept[key] = other.save(key, dataOf(key, version[key]), 0)
			}
		}
		verify(func(int) bool { return false })
	}
	return kept
}

// dataOf returns data that no other key has, nor another version of it.
func dataOf(key string, version int) []byte { return fmt.Appendf(nil, "%q %d", key, version) }

// saveOrRefuse saves the first checkpoint of a key, or requires that each operation
// refuses the key.
func (s *openStore) saveOrRefuse(key string, data []byte) (revision uint64, kept bool) {
	s.t.Helper()
	ctx, cancel := s.t.timeout()
	defer cancel()
	loaded, found, loadErr := s.Load(ctx, key)
	if loadErr == nil && (loaded != nil || found != 0) {
		s.t.Fatalf("Load(%.60q) before the first Save: got %s and revision %d: the key is taken for another one", key, brief(loaded), found)
	}
	revision, saveErr := s.Save(ctx, key, data, 0)
	if errors.Is(saveErr, stripekit.ErrCheckpointConflict) {
		s.t.Fatalf("the first Save(%.60q): %v: the key is taken for another one, or is not refused by an error of its own", key, saveErr)
	}
	if (loadErr == nil) != (saveErr == nil) {
		s.t.Fatalf("the key %.60q is refused by one operation only: Load: %v, Save: %v", key, loadErr, saveErr)
	}
	if saveErr == nil {
		return revision, true
	}
	if err := s.Delete(ctx, key); err == nil {
		s.t.Fatalf("the key %.60q is refused by Save, and not by Delete: Save: %v", key, saveErr)
	}
	_, _, loadErr = s.Load(ctx, key)
	if loadErr == nil {
		s.t.Fatalf("the key %.60q is refused by Save, and then not by Load: Save: %v", key, saveErr)
	}
	return 0, false
}
