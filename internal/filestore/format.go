package filestore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	fileMagic   = "stripekit-checkpoint"
	fileVersion = 1 // to be increased by a change that an older reader would misread
)

// fileCheckpoint is the content of a file.
type fileCheckpoint struct {
	revision uint64 // 0 if there is no file
	writer   string
	data     []byte
}

// fileName returns the name of a key's file: a readable part of the key and a
// hash of it. The hash distinguishes keys with the same readable part, such as
// keys that differ in upper and lower case. As each name has a hash, and no dot
// before the suffix, none is the name of a Windows device (con, nul.txt).
func fileName(key string) string {
	const readable = 48
	var name strings.Builder
	for _, r := range strings.ToLower(key) {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			r = '-'
		}
		if name.Len() == readable {
			break
		}
		if name.Len() > 0 || r != '-' {
			name.WriteRune(r)
		}
	}
	hash := sha256.Sum256([]byte(key))
	fmt.Fprintf(&name, "-%x"+fileSuffix, hash[:16])
	return strings.TrimPrefix(name.String(), "-")
}

// encodeFile returns the content of the file of a key: one line, then the data.
// The checksum covers the line, the key and the data, so it also detects a file
// that has the name of another key.
func encodeFile(key string, c fileCheckpoint) []byte {
	head := fmt.Sprintf("%s %d revision=%d writer=%s", fileMagic, fileVersion, c.revision, c.writer)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%q\n", head, key)
	sum.Write(c.data)
	return append(fmt.Appendf(nil, "%s sha256=%x\n", head, sum.Sum(nil)), c.data...)
}

// decodeFile decodes the content of a file. It returns ErrInvalid unless the
// content is exactly what encodeFile writes.
func decodeFile(key string, content []byte) (fileCheckpoint, error) {
	refuse := func(reason string) (fileCheckpoint, error) {
		return fileCheckpoint{}, fmt.Errorf("%w: %s", ErrInvalid, reason)
	}
	line, data, whole := bytes.Cut(content, []byte("\n"))
	fields := strings.Split(string(line), " ")
	if !whole || fields[0] != fileMagic || len(fields) < 2 {
		return refuse("it is damaged: its first line is not a checkpoint's")
	}
	switch version, err := strconv.ParseUint(fields[1], 10, 64); {
	case err != nil:
		return refuse("it is damaged: its format version is no number")
	case version != fileVersion:
		return refuse(fmt.Sprintf("its format is version %d, and this library reads %d", version, fileVersion))
	case len(fields) != 5:
		return refuse("it is damaged: its first line has too few fields or too many")
	}
	revision, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "revision="), 10, 64)
	if err != nil || revision == 0 || revision == math.MaxUint64 {
		return refuse("it is damaged: its revision cannot be")
	}
	c := fileCheckpoint{revision: revision, writer: strings.TrimPrefix(fields[3], "writer="), data: data}
	if !bytes.Equal(encodeFile(key, c), content) {
		return refuse("it is damaged, or another key's: the checksum is wrong")
	}
	return c, nil
}
